"""The Circus bridge, driven by the unmodified programs of Circus 0.19."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import textwrap
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from tests.migrate.circus.circus_tools import circus_bin
from tests.support import alive, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.project import Project

    New = Callable[[str], Project]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

TOML = """
    [plugin.circus]
    use = "circus"
    [socket.http]
    [service.Web-1]
    command = "sleep 600"
    processes = 2
    ready.alive = "20ms"
    sockets = ["http"]
    hooks.extended_stats = ["echo", '{"jobs": 7}']
    hooks.after_start = "true"
    [service."job.x"]
    command = "sleep 601"
    ready.alive = "20ms"
    stop_timeout = "3s"
"""


class Circus:
    """circusctl and its friends, pointed at the bridge of a project."""

    def __init__(self, p: Project, programs: Path) -> None:
        self.p, self.programs = p, programs
        self.folder = p.folder / ".chapiteau" / "circus"
        if not (p.folder / ".chapiteau" / "control.sock").exists():
            self.folder = p.client.path.parent / "circus"

    def endpoint(self, part: str) -> str:
        return f"ipc://{self.folder / part}"

    def run(self, *words: str, code: int = 0, part: str = "ctrl") -> str:
        done = subprocess.run(
            [self.programs / "circusctl", "--endpoint", self.endpoint(part), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return (done.stdout if code == 0 else done.stderr).strip()

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", *words))
        return found

    def raw(self, message: bytes) -> dict[str, Any]:
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(self.endpoint("ctrl"))
            dealer.send(message)
            assert dealer.poll(5000)
            answer: dict[str, Any] = json.loads(dealer.recv())
            return answer


@pytest.fixture(scope="module")
def programs() -> Path:
    return circus_bin()


@pytest.fixture
def circus(project: New, programs: Path) -> Circus:
    p = project(TOML).up()
    p.until("Web-1", "running")
    p.until("circus", "running")
    return Circus(p, programs)


def test_every_command_that_looks_answers_as_circus_does(circus: Circus) -> None:
    pids = [str(pid) for pid in circus.p.pids("Web-1")]
    assert circus.run("list") == "Web-1,job.x"
    assert circus.run("list", "web-1") == ",".join(pids)
    assert circus.run("status") == "Web-1: active\njob.x: active"
    assert circus.run("status", "WEB-1") == "active"
    assert circus.run("numprocesses") == "3"
    assert circus.run("numprocesses", "web-1") == "2"
    assert circus.run("numwatchers") == "2"
    stats = circus.json("stats", "web-1")["info"]
    assert set(stats) == set(pids)
    assert stats[pids[0]]["cmdline"] == "sleep"
    assert circus.run("stats", "web-1", pids[0]).startswith(f"{pids[0]}: {pids[0]}  sleep")
    assert circus.run("stats").startswith("Web-1:")
    assert circus.run("dstats").startswith("Main Process:")
    address = circus.p.address("http")
    assert circus.run("listsockets") == f"3:socket 'http' at {address}"
    assert circus.run("get", "web-1", "numprocesses", "cmd") == ("numprocesses: 2\ncmd: sleep 600")
    assert "graceful_timeout: 3.0" in circus.run("options", "job.x")
    assert "stop_signal: 15" in circus.run("options", "job.x")
    assert circus.endpoint("pubsub") in circus.run("globaloptions")
    assert circus.run("globaloptions", "check_delay") == "check_delay: 5.0"


def test_extended_stats_hold_what_the_hook_says(circus: Circus) -> None:
    pid = str(circus.p.pids("Web-1")[0])
    wait_for(lambda: circus.p.service("Web-1").processes[0].extra)
    assert circus.json("stats", "--extended", "web-1")["info"][pid]["jobs"] == 7
    assert "jobs" not in circus.json("stats", "web-1")["info"][pid]


def test_every_command_that_acts_acts(circus: Circus) -> None:
    p = circus.p
    assert circus.run("stop", "web-1", "--waiting") == "ok"
    assert circus.run("status", "web-1") == "stopped"
    assert circus.run("start", "WEB*", "--waiting") == "ok"
    before = p.pids("Web-1")
    info = circus.json("restart", "web-1", "--waiting", "--match", "simple")["info"]
    assert (info["stopped"], info["kept"]) == (sorted(before), [])
    assert info["started"] == sorted(p.pids("Web-1"))
    assert circus.run("incr", "web-1", "2", "--waiting") == "4"
    assert circus.run("decr", "web-1", "--waiting") == "3"
    assert circus.run("set", "web-1", "numprocesses", "1", "--waiting") == "ok"
    assert len(p.pids("Web-1")) == 1
    before = p.pids("Web-1")
    assert circus.run("reload", "web-1", "--waiting") == "ok"
    assert p.pids("Web-1") != before
    assert circus.run("reload", "--terminate") == "ok"
    assert circus.run("restart") == "ok"
    assert circus.run("stop") == "ok"
    p.until("Web-1", "stopped")
    p.until("job.x", "stopped")
    assert p.service("circus").state == "running"


def test_signal_and_kill_reach_the_right_processes(circus: Circus) -> None:
    p = circus.p
    first, second = p.pids("Web-1")
    assert circus.run("signal", "web-1", str(first), "kill") == "ok"
    wait_for(lambda: len(p.pids("Web-1")) == 2 and first not in p.pids("Web-1"))
    assert second in p.pids("Web-1")
    assert circus.run("kill", "web-1", str(second), "--waiting") == "ok"
    wait_for(lambda: len(p.pids("Web-1")) == 2 and second not in p.pids("Web-1"))
    killed = {e.pid: e.data.get("signal") for e in p.events("process.exited", "Web-1")}
    assert (killed[first], killed[second]) == (signal.SIGKILL, signal.SIGTERM)


def test_what_ignores_the_stop_signal_is_killed_after_the_graceful_timeout(
    project: New, programs: Path
) -> None:
    p = project("""
        [plugin.circus]
        use = "circus"
        [service.deaf]
        command = "sh -c 'trap \\"\\" TERM; sleep 600 & wait; wait'"
        ready.alive = "200ms"
        stop_timeout = "300ms"
    """).up()
    p.until("circus", "running")
    p.until("deaf", "running")
    circus = Circus(p, programs)
    (parent,) = p.pids("deaf")
    child = circus.json("stats", "deaf")["info"][str(parent)]["children"][0]["pid"]
    assert circus.run("signal", "deaf", str(parent), "kill", "--children") == "ok"
    wait_for(lambda: not alive(child))
    p.until("deaf", "running")
    (parent,) = p.pids("deaf")
    circus.run("kill", "deaf", "--graceful_timeout", "0.3", "--signum", "TERM", "--waiting")
    wait_for(lambda: p.pids("deaf") not in ([parent], []))


def test_errors_carry_circus_numbers(circus: Circus) -> None:
    assert circus.run("list", "nobody", code=3) == "error: program nobody not found"
    assert circus.run("get", "web-1", "nothing", code=3) == "error: 'nothing' option not found"
    assert "set options.added" in circus.run("add", "x", "sleep 1", code=3)
    assert "set options.added" in circus.run("rm", "web-1", code=3)
    assert circus.run("set", "web-1", "max_retry", "9") == "ok"
    assert circus.run("get", "web-1", "max_retry") == "max_retry: 9"
    assert "no counterpart" in circus.run("set", "web-1", "warmup_delay", "9", code=3)
    pairs = {
        b"{nonsense": 1,
        b"[1]": 1,
        b'{"id": "x"}': 2,
        b'{"id": "x", "command": "dance"}': 2,
        b'{"id": "x", "command": "list", "properties": {"name": "no"}}': 3,
        b'{"id": "x", "command": "options"}': 3,
        b'{"id": "x", "command": "listen"}': 3,
        b'{"id": "x", "command": "signal", "properties": {"name": "web-1", "signum": "x"}}': 3,
        b'{"id": "x", "command": "ipython"}': 5,
    }
    for message, number in pairs.items():
        answer = circus.raw(message)
        assert (answer["status"], answer["errno"]) == ("error", number), message
        assert answer["id"] == (None if number == 1 else "x")
    assert circus.run("numwatchers") == "2"  # and it goes on


def test_services_are_added_and_removed_in_a_file_of_their_own(
    project: New, programs: Path
) -> None:
    added = 'include = ["added*.toml"]\n[plugin.circus.options]\nadded = "added.toml"\n'
    p = project(added + textwrap.dedent(TOML)).up()
    p.until("circus", "running")
    circus = Circus(p, programs)
    assert circus.run("add", "--start", "late", "sleep 602") == "ok"
    p.until("late", "running")
    assert circus.run("add", "quiet", "sleep 603") == "ok"
    assert circus.run("status", "quiet") == "stopped"
    assert "exists" in circus.run("add", "late", "sleep 1", code=3)
    request = {"id": "x", "command": "add"}
    options = {"numprocesses": 2, "env": {"A": "1"}, "respawn": False, "graceful_timeout": 3}
    two = {"name": "two", "cmd": "sleep", "args": ["604"], "options": options}
    answer = circus.raw(json.dumps({**request, "properties": two}).encode())
    assert answer["status"] == "ok", answer
    kept = tomllib.loads((p.folder / "added.toml").read_text())["service"]["two"]
    assert (kept["command"], kept["processes"], kept["env"]) == ("sleep 604", 2, {"A": "1"})
    wrong = {**two, "name": "wrong", "options": {"numprocesses": -1}}
    answer = circus.raw(json.dumps({**request, "properties": wrong}).encode())
    assert (answer["status"], answer["errno"]) == ("error", 5)
    assert "wrong" not in (p.folder / "added.toml").read_text()
    (pid,) = p.pids("late")
    assert circus.run("rm", "late") == "ok"
    assert not alive(pid)
    assert "was not added by circusctl" in circus.run("rm", "web-1", code=3)
    assert set(circus.run("list").split(",")) == {"Web-1", "job.x", "quiet", "two"}


def test_events_come_as_circus_publishes_them(circus: Circus) -> None:
    command = [circus.programs / "circusctl", "--endpoint", circus.endpoint("pubsub"), "listen"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, "watcher."], stdout=subprocess.PIPE, env=env) as listener:
        assert listener.stdout is not None
        os.set_blocking(listener.stdout.fileno(), False)
        heard = b""

        def has(*topics: str) -> bool:
            nonlocal heard
            heard += listener.stdout.read() or b""  # type: ignore[union-attr]
            return all(f"watcher.{topic}".encode() in heard for topic in topics)

        def heard_anything() -> bool:  # a subscriber hears nothing until it has joined
            circus.run("restart", "job.x", "--waiting")
            return has("job_x.spawn")

        wait_for(heard_anything)
        circus.run("stop", "web-1", "--waiting")
        circus.run("start", "web-1", "--waiting")
        circus.run("reload", "web-1", "--waiting")
        circus.run("incr", "web-1", "--waiting")
        wait_for(lambda: has(
            "web-1.stop", "web-1.start", "web-1.kill", "web-1.reap", "web-1.spawn",
            "web-1.reload", "web-1.updated", "web-1.hook_success",
        ), 15)  # fmt: skip
        p = circus.p
        p.write(p.config.read_text() + "\n[service.late]\ncommand = 'sleep 60'\n")
        assert circus.run("reloadconfig", "--waiting") == "ok"
        wait_for(lambda: has("late.add", "late.spawn"))
        assert heard.index(b"late.add") < heard.index(b"late.spawn")
        p.write(TOML)
        assert circus.run("reloadconfig", "--waiting") == "ok"
        wait_for(lambda: has("late.reap", "late.remove"))
        listener.terminate()
    reap = next(line for line in heard.splitlines() if b"web-1.reap" in line)
    assert (
        json.loads(reap.decode().partition(": ")[2].removeprefix("b'").removesuffix("'"))[
            "exit_code"
        ]
        == -15
    )


def test_circus_top_shows_every_process(circus: Circus) -> None:
    pid = circus.p.pids("Web-1")[0]
    child, screen = pty.fork()
    if child == 0:
        words = [str(circus.programs / "circus-top"), "--endpoint", circus.endpoint("stats")]
        os.environ |= {"TERM": "xterm", "LINES": "60", "COLUMNS": "120"}
        os.execv(words[0], words)
    shown = b""
    try:
        end = time.monotonic() + 15
        while str(pid).encode() not in shown and time.monotonic() < end:
            if select.select([screen], [], [], 0.2)[0]:
                shown += os.read(screen, 65536)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(screen)
    assert str(pid).encode() in shown
    assert b"Circus Top" in shown
    assert b"circusd" in shown


PLUGIN = """
    from circus.plugins import CircusPlugin

    class Noter(CircusPlugin):
        name = "noter"

        def handle_recv(self, data):
            watcher, action, message = self.split_data(data)
            pid = self.load_message(message).get("process_pid", 0)
            count = self.call("numprocesses", name=watcher)["numprocesses"]
            with open(self.config["file"], "a") as file:
                file.write(f"{watcher} {action} {pid} {count}\\n")
            if action == "reap":
                self.cast("stop", name=watcher)
"""


def test_a_plugin_written_for_circus_hears_and_commands(circus: Circus) -> None:
    p = circus.p
    p.file("noter.py", PLUGIN)
    words = [circus.programs / "circus-plugin", "--endpoint", circus.endpoint("ctrl")]
    words += ["--pubsub", circus.endpoint("pubsub"), "--config", "file:notes", "noter.Noter"]
    env = {**os.environ, "PYTHONPATH": str(p.folder)}
    with subprocess.Popen(
        [*map(str, words)], cwd=p.folder, env=env, stderr=subprocess.DEVNULL
    ) as plugin:
        notes = p.folder / "notes"

        def joined() -> bool:
            p.client.command("scale", "Web-1", by=1)
            return notes.exists()

        wait_for(joined)
        os.kill(p.pids("Web-1")[0], signal.SIGKILL)
        p.until("Web-1", "stopped")
        plugin.terminate()
    assert " reap " in notes.read_text()
    stops = [e.who for e in p.events("command.done", "Web-1") if e.data["verb"] == "stop"]
    assert stops[0] == f"uid {os.getuid()} (plugin circus)"


def test_circus_own_statsd_plugin_works_on_the_bridge(circus: Circus) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.3)
        config = f"host:127.0.0.1:::port:{server.getsockname()[1]}:::application_name:shop"
        words = [circus.programs / "circus-plugin", "--endpoint", circus.endpoint("ctrl")]
        words += ["--pubsub", circus.endpoint("pubsub"), "--config", config]
        words += ["circus.plugins.statsd.StatsdEmitter"]
        with subprocess.Popen([*map(str, words)], stderr=subprocess.DEVNULL) as plugin:
            got: list[bytes] = []

            def reaped() -> bool:
                circus.p.client.command("restart", "job.x")
                got.append(server.recv(2000))
                return any(b"job_x.reap" in line for line in got)

            wait_for(reaped)
            plugin.terminate()


def test_the_bridge_goes_on_when_the_brain_is_killed(circus: Circus) -> None:
    circus.p.kill_brain()
    assert circus.run("status", "web-1") == "active"


def test_others_can_not_reach_the_endpoints_and_quit_ends_all(circus: Circus) -> None:
    assert circus.folder.stat().st_mode & 0o777 == 0o700
    assert circus.run("quit") == "ok"
    wait_for(lambda: not alive(circus.p.keeper))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--endpoint", "tcp://127.0.0.1:5555"], "--allow-tcp"),
        (["--endpoint", "tcp://0.0.0.0:5555", "--allow-tcp"], "is not loopback"),
        (["--endpoint", "udp://127.0.0.1:5555"], "is neither ipc://PATH nor tcp://HOST:PORT"),
    ],
)
def test_the_command_refuses_endpoints_that_are_open_to_others(
    project: New, words: list[str], says: str
) -> None:
    p = project("[service.web]\ncommand = 'sleep 60'\n").up()
    done = run_cli("run", "circus-bridge", *words, cwd=p.folder)
    assert done.returncode == 2
    assert says.replace("--allow-tcp", "allow_tcp = true") in done.stderr


def test_a_folder_that_others_may_enter_is_refused(project: New) -> None:
    p = project("[service.web]\ncommand = 'sleep 60'\n").up()
    (p.folder / "open").mkdir(mode=0o755)
    done = run_cli("run", "circus-bridge", "--endpoint", "ipc://open/ctrl", cwd=p.folder)
    assert done.returncode == 4
    assert "others may enter it" in done.stderr
