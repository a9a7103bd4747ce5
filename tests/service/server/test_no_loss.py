"""Workers on one socket are replaced and killed under load: who loses what?"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from tests.service.server.conftest import Site, Wire

pytestmark = pytest.mark.slow


class Strict(threading.Thread):
    """A client that forgives nothing: every request sent must be answered.

    It honours `Connection: close`. With `retries` it sends an unanswered GET again, once, on a
    new connection, as browsers and HTTP libraries do.
    """

    def __init__(self, site: Site, *, keep: bool, retries: bool = False) -> None:
        super().__init__(daemon=True)
        self.site, self.keep, self.retries = site, keep, retries
        self.stop = threading.Event()
        self.answered = 0
        self.lost: list[str] = []

    def run(self) -> None:
        wire = None
        while not self.stop.is_set():
            try:
                wire = wire or self.site.connect()
                wire = self._one(wire)
            except OSError as exc:
                if not (self.retries and self._again()):
                    self.lost.append(repr(exc))
                wire = None

    def _one(self, wire: Wire) -> Wire | None:
        status, head, _ = wire.ask("/", *([] if self.keep else ["Connection: close"]))
        assert status == 200
        self.answered += 1
        if b"connection: close" in head.lower():
            wire.close()
            return None
        return wire

    def _again(self) -> bool:
        try:
            self._one(self.site.connect())
        except OSError:
            return False
        return True


def replaced(site: Site, clients: list[Strict], times: int, *, kill: bool) -> None:
    """Replace workers one after the other while the clients go on asking."""
    workers = [site.start("--linger", "0.3") for _ in range(2)]
    for client in clients:
        client.start()
    wait_for(lambda: all(c.answered > 20 for c in clients), what="clients are under way")
    for turn in range(times):
        old = workers[turn % 2]
        if kill:
            old.kill()
            old.wait()
            workers[turn % 2] = site.start("--linger", "0.3")
        else:
            workers[turn % 2] = site.start("--linger", "0.3")
            old.terminate()
            assert old.wait(60) == 0
        seen = [c.answered for c in clients]
        wait_for(
            lambda seen=seen: all(c.answered > s for c, s in zip(clients, seen, strict=True)),
            what="every client goes on",
        )
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join(60)
    assert not any(client.is_alive() for client in clients)


@pytest.mark.parametrize("keep", [True, False], ids=["kept alive", "new connections"])
def test_replacing_workers_with_term_loses_nothing(site: Site, keep: bool) -> None:
    clients = [Strict(site, keep=keep) for _ in range(4)]
    replaced(site, clients, 3, kill=False)
    assert [c.lost for c in clients] == [[]] * 4
    assert sum(c.answered for c in clients) > 500


@pytest.mark.parametrize("keep", [True, False], ids=["kept alive", "new connections"])
def test_killing_workers_loses_nothing_for_a_client_that_retries(site: Site, keep: bool) -> None:
    clients = [Strict(site, keep=keep, retries=True) for _ in range(4)]
    replaced(site, clients, 2, kill=True)
    assert [c.lost for c in clients] == [[]] * 4


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.parametrize("extra", [[], ["-H", "Connection: close"]], ids=["kept alive", "new"])
def test_wrk_sees_no_failure_while_workers_are_replaced(site: Site, extra: list[str]) -> None:
    workers = [site.start("--linger", "0.3") for _ in range(2)]
    load = subprocess.Popen(
        ["wrk", "-t1", "-c16", "-d4s", *extra, f"http://127.0.0.1:{site.port}/"],
        stdout=subprocess.PIPE,
        text=True,
    )
    turns = 0
    while load.poll() is None and turns < 2:
        new = site.start("--linger", "0.3")
        workers[turns % 2].terminate()
        workers[turns % 2] = new
        turns += 1
    told, _ = load.communicate(timeout=60)
    assert turns >= 1
    assert "Socket errors" not in told
    assert "Non-2xx" not in told
    assert int(re.search(r"(\d+) requests in", told)[1]) > 500
