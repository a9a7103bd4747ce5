"""`drain` empties a server, in order, and holds; `undrain` brings back what ran before."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_all_end_in_order_nobody_is_let_in_and_it_holds(
    project: Callable[[str], Project],
) -> None:
    port = free_port()
    p = project(f"""
        [socket.http]
        port = {port}
        [service.db]
        command = "sleep 600"
        ready.alive = "20ms"
        [service.web]
        command = "sleep 600"
        needs = ["db"]
        sockets = ["http"]
        processes = 2
        ready.alive = "20ms"
        [service.idle]
        command = "sleep 600"
        autostart = false
        [service.prepare]
        command = ["sh", "-c", "echo once >>prepared"]
        one_shot = true
    """).up()
    p.until("web", "running")
    p.until("prepare", "completed")
    assert connects(port)

    done = p.client.command("drain", "all")
    assert done.ok, done.error
    assert sorted(done.data["services"]) == ["db", "web"]
    stops = [e.service for e in p.events("service.stopped")]
    assert stops.index("web") < stops.index("db"), "what needs others goes first"
    assert not connects(port), "a balancer goes elsewhere"
    refused = p.client.command("start", "web")
    assert (refused.ok, refused.exit_code, refused.hint) == (False, 4, "chapiteau undrain")

    p.kill_brain()
    p.when(lambda: p.status().brain_restarts == 1)
    drained = p.status().drained
    assert drained["left"] == []
    assert not p.pids("web"), "the next brain keeps to it"
    p.config.write_text(p.config.read_text() + '[service.more]\ncommand = "sleep 600"\n')
    assert p.client.apply().ok
    assert not p.pids("more"), "what is new waits too"

    back = p.client.command("undrain", "all")
    assert back.ok, back.error
    assert not p.status().drained
    assert len(p.pids("web")) == 2
    assert p.pids("more")
    assert not p.pids("idle"), "only what ran before"
    assert (p.folder / "prepared").read_text() == "once\n", "done work is not done again"
    assert connects(port)


def test_a_drained_server_runs_no_schedule_and_a_clean_end_forgets(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [socket.api]
        path = "api.sock"
        [service.tick]
        command = ["sh", "-c", "echo tick >>ticks"]
        one_shot = true
        schedule = "@every 1s"
        [service.web]
        command = "sleep 600"
        sockets = ["api"]
        ready.alive = "20ms"
    """).up()
    p.until("web", "running")
    wait_for((p.folder / "ticks").exists)
    assert p.client.command("drain", "all").ok
    assert p.service("tick").next_run == 0
    assert not (p.folder / "api.sock").exists()
    assert p.client.command("undrain", "all").ok
    assert p.service("tick").next_run > 0
    assert (p.folder / "api.sock").exists()
    assert p.client.command("drain", "all").ok
    p.down()
    p.up()
    p.until("web", "running")


def test_a_drained_server_stays_so_over_a_reboot(project: Callable[[str], Project]) -> None:
    """The system's own end is a signal; what comes up afterwards is as empty as before."""
    port = free_port()
    p = project(f"""
        [socket.http]
        port = {port}
        [service.web]
        command = "sleep 600"
        sockets = ["http"]
        ready.alive = "20ms"
    """).up()
    p.until("web", "running")
    assert p.client.command("drain", "all").ok
    os.kill(p.keeper, signal.SIGTERM)
    wait_for(lambda: not alive(p.keeper))
    p.up()
    assert p.status().drained["services"] == ["web"]
    assert p.service("web").state == "stopped"
    assert not connects(port)
    assert p.client.command("undrain", "all").ok
    assert len(p.pids("web")) == 1
    assert connects(port)
