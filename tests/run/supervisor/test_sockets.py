"""Sockets in use: who is started by whom, who gets what, and nobody waits at a socket for ever."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import NotFoundError
from tests.run.load import Clients
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow

# Answers everybody with its name, from whatever socket it is given, and hangs up or waits.
ECHO = """
    import os, socket, sys, threading
    own = socket.socket(fileno=int(sys.argv[1]))
    name = f"{os.environ['CHAPITEAU_SERVICE']}.{os.environ['CHAPITEAU_PROCESS']}".encode()
    def one(peer):
        with peer:
            peer.sendall(name)
            peer.recv(1)
    print("up", flush=True)
    while own.type == socket.SOCK_DGRAM:
        data, peer = own.recvfrom(100)
        own.sendto(name, peer)
    while True:
        threading.Thread(target=one, args=(own.accept()[0],), daemon=True).start()
"""
SLEEPING = """
    [socket.a]
    [socket.six]
    host = "::1"
    [socket.path]
    path = "x.sock"
    [socket.udp]
    type = "datagram"
    [service.tcp]
    command = "{python} echo.py 3"
    sockets = ["a"]
    on_demand = true
    idle_stop = "100ms"
    ready.log = "up"
    [service.over-6]
    command = "{python} echo.py 3"
    sockets = ["six"]
    on_demand = true
    ready.log = "up"
    [service.inetd]
    command = "{python} echo.py 0"
    stdin_socket = "path"
    on_demand = true
    ready.log = "up"
    [service.datagrams]
    command = "{python} echo.py 3"
    sockets = ["udp"]
    on_demand = true
    ready.log = "up"
"""
PER_PROCESS = """
    [socket.web]
    reuse_port = true
    [service.web]
    command = "{python} echo.py 3"
    sockets = ["web"]
    ready.log = "up"
    scaling = {{ min = 1, max = 4, hold = "1h" }}
    restart.delay = "0s"
    {more}
"""


def answer(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> str:
    """What is said to who connects, and sends something."""
    host, _, port = address.rpartition(":")
    family = socket.AF_UNIX if not host else socket.AF_INET6 if "[" in host else socket.AF_INET
    with socket.socket(family, kind) as asking:
        asking.settimeout(60)
        asking.connect((host.strip("[]"), int(port)) if host else address)
        asking.send(b".")
        return asking.recv(100).decode()


SMALL_APP = """
    import os
    def make(*a, **k):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "6")])
            return [b"%6d" % (os.getpid() % 1000000)]
        return app
"""


def answered(address: str) -> str:
    host, _, port = address.rpartition(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=60)) as asking:
        asking.request("GET", "/")
        return asking.getresponse().read().decode()


def everybody(p: Project) -> set[str]:
    """Who answers: of so many connections each of four would get one."""
    return {answer(p.address("web")) for _ in range(60)}


@pytest.fixture
def make(project: Callable[[str], Project]) -> Callable[..., Project]:
    def make(toml: str, **more: str) -> Project:
        p = project(toml.format(python=sys.executable, **more))
        p.file("echo.py", ECHO)
        return p.up()

    return make


def test_a_connection_starts_the_service_that_it_is_for(make: Callable[..., Project]) -> None:
    p = make(SLEEPING)
    assert answer(p.address("six")) == "over-6.1"
    assert answer(p.address("path")) == "inetd.1", "a socket on standard input counts too"
    assert answer(p.address("udp"), socket.SOCK_DGRAM) == "datagrams.1"
    assert p.service("tcp").state == "stopped"


def test_who_holds_a_socket_is_told(make: Callable[..., Project]) -> None:
    p = make(PER_PROCESS, more="processes = 2")
    p.until("web", "running")
    told = p.client.holders("web")
    assert {h.part for h in told.holders} == {"", "brain", "keeper"}
    assert {(h.service, h.process) for h in told.holders if not h.part} == {("web", 1), ("web", 2)}
    with pytest.raises(NotFoundError, match="no socket 'wev' is bound") as none:
        p.client.holders("wev")
    assert none.value.hint == "did you mean 'web'?"


@pytest.mark.long
def test_what_a_socket_accepts_is_counted(make: Callable[..., Project]) -> None:
    p = make(PER_PROCESS, more="processes = 2")
    p.until("web", "running")
    with contextlib.closing(p.client.stats()) as looks:
        assert "accepts" not in next(looks)["sockets"]["web"], "a rate needs two looks"
        for _ in range(7):
            answer(p.address("web"))
        counted = 0.0
        while counted < 4:  # a second, so called, may be longer on a busy machine
            counted += next(looks)["sockets"]["web"]["accepts"]
        assert counted < 10


@pytest.mark.long
def test_who_has_a_connection_is_not_idle(make: Callable[..., Project]) -> None:
    p = make(SLEEPING)
    host, _, port = p.address("a").rpartition(":")
    with socket.create_connection((host, int(port)), 10) as kept:
        assert kept.recv(100) == b"tcp.1"
        [pid] = p.pids("tcp")
        begun = os.times().elapsed
        wait_for(lambda: os.times().elapsed - begun > 2.2)  # two looks, and more than idle_stop
        assert p.pids("tcp") == [pid]
    p.until("tcp", "stopped")
    assert answer(p.address("a")) == "tcp.1", "and the next connection starts it again"


def test_with_reuse_port_only_those_listen_who_run(make: Callable[..., Project]) -> None:
    """The kernel deals out to all that listen: who waits at nobody's socket waits for ever."""
    p = make(PER_PROCESS, more="")
    p.until("web", "running")
    assert everybody(p) == {"web.1"}
    assert p.client.command("scale", "web", processes=4).ok
    assert everybody(p) == {"web.1", "web.2", "web.3", "web.4"}


def test_fewer_processes_with_reuse_port_lose_nobody(
    project: Callable[[str], Project],
) -> None:
    """What waits in the socket of one that goes is taken first, and nothing more is dealt to it."""
    p = project("""
        [socket.web]
        reuse_port = true
        [service.web]
        app = "small:make"
        sockets = ["web"]
        processes = 4
    """)
    p.file("small.py", SMALL_APP)
    p.up()
    p.until("web", "running")
    with Clients(p.address("web"), keep=False) as seen:
        for count in (1, 2):
            assert p.client.command("scale", "web", processes=count).ok
        assert p.client.command("stop", "web", process=1).ok
        others = {answered(p.address("web")) for _ in range(30)}
    assert seen.failed == []
    assert len(others) == 1, "nothing is dealt to a number under which nobody runs"


@pytest.mark.long
def test_sockets_of_processes_come_and_go_with_them(make: Callable[..., Project]) -> None:
    """Over the death of a brain and of a keeper, with fewer processes, and with other settings."""
    p = make(PER_PROCESS, more="processes = 4")
    p.until("web", "running")
    p.kill_brain()
    os.kill(p.keeper, signal.SIGKILL)
    p.when(lambda: p.status().keeper_pid != p.keeper)
    p.keeper = p.status().keeper_pid
    assert everybody(p) == {"web.1", "web.2", "web.3", "web.4"}
    assert p.client.command("scale", "web", processes=2).ok
    assert everybody(p) == {"web.1", "web.2"}
    p.write(PER_PROCESS.format(python=sys.executable, more='env = { A = "1" }'))
    assert p.client.apply().ok
    assert everybody(p) == {"web.1", "web.2"}
