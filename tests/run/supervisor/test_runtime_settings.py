"""`run set`: true or an error, shown as drift, kept by the next brain, undone by a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow


def test_what_is_set_runs_is_shown_survives_a_brain_and_goes_with_a_reload(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.web]
        command = ["sh", "-c", "echo $WORD >word; exec sleep 600"]
        processes = 2
        env.WORD = "file"
        ready.alive = "50ms"
        [service.db]
        command = "sleep 600"
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    p.until("db", "running")
    web, db = p.pids("web"), p.pids("db")

    assert p.client.configure("web", {"stop_timeout": "3s"}).ok
    assert p.pids("web") == web, "what needs no restart restarts nothing"
    assert p.client.configure("web", {"env.WORD": "set", "processes": 1}).ok
    assert len(p.pids("web")) == 1
    assert p.pids("web")[0] not in web, "the environment is new, so is the process"
    assert p.pids("db") == db
    wait_for(lambda: (p.folder / "word").read_text() == "set\n")

    bad = p.client.configure("web", {"stop_timout": "3s", "processes": 9})
    assert (bad.ok, bad.exit_code) == (False, 2)
    assert "stop_timout" in bad.error
    assert len(p.pids("web")) == 1, "all or nothing"

    drift = p.service("web").drift
    assert drift[0] == "stop_timeout = 3.0 (file: 10.0)"
    assert not p.service("db").drift
    p.kill_brain()
    assert p.service("web").drift == drift, "the next brain knows"
    assert p.client.config()["service"]["web"]["stop_timeout"] == 3.0

    plan = p.client.plan()
    assert "stop_timeout 3.0 → 10.0 (was set at run time)" in plan.text
    assert p.client.configure("web", {}, reset=["stop_timeout"]).ok
    assert len(p.service("web").drift) == 2
    assert p.client.apply().ok
    assert not p.service("web").drift
    assert len(p.pids("web")) == 2
    wait_for(lambda: (p.folder / "word").read_text() == "file\n")
    assert p.client.plan().text == "nothing would change"


def test_a_setting_that_fails_leaves_all_as_it_was(project: Callable[[str], Project]) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        ready = { alive = "50ms", start_timeout = "1s" }
        restart.delay = "20ms"
    """).up()
    p.until("web", "running")
    done = p.client.configure("web", {"command": "false"})
    assert not done.ok
    assert "as it was before" in done.error
    p.until("web", "running")
    assert p.service("web").command == "sleep 600"
    assert not p.service("web").drift


def test_a_service_comes_and_goes_at_run_time(project: Callable[[str], Project]) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "20ms"
        [service.tail]
        command = "sleep 600"
        needs = ["web"]
        ready.alive = "20ms"
    """).up()
    p.until("tail", "running")
    new = {"command": ["sleep", "601"], "ready.alive": "20ms", "processes": 2}
    assert p.client.configure("late", new, add=True).ok
    assert len(p.pids("late")) == 2
    assert p.service("late").drift == ("added at run time",)
    assert p.client.configure("late", new, add=True).exit_code == 4
    assert p.client.configure("bad name", new, add=True).exit_code == 2
    assert p.client.configure("late", {"processes": 1}).ok
    refused = p.client.configure("web", {}, remove=True)
    assert refused.exit_code == 2
    assert "no service 'web'" in refused.error, "tail needs it"
    assert p.client.configure("tail", {}, remove=True).ok
    p.kill_brain()
    names = [s.name for s in p.status().services]
    assert names == ["web", "late"]
    assert len(p.pids("late")) == 1
    assert p.client.configure("late", {}, remove=True).ok
    assert p.client.apply().ok
    p.until("tail", "running")
    assert [s.name for s in p.status().services] == ["web", "tail"]
