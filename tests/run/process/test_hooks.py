"""Hooks: when they run, what they are told, and what happens when they fail or hang."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

    New = Callable[[str], Project]

pytestmark = pytest.mark.slow

POINTS = (
    "before_start after_start before_spawn after_spawn before_stop after_stop before_signal "
    "after_signal before_reap after_reap"
).split()


def notes(p: Project) -> list[str]:
    path = p.folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def test_every_hook_runs_in_order_and_is_told_what_it_is_about(project: New) -> None:
    note = (
        "echo $CHAPITEAU_HOOK $CHAPITEAU_SERVICE ${CHAPITEAU_PROCESS:--} ${CHAPITEAU_PID:--} "
        "${CHAPITEAU_SIGNAL:--} ${CHAPITEAU_EXIT_CODE:--} $COLOUR >> notes"
    )
    p = project("[service.web]\ncommand = 'sleep 60'\nready.alive = '20ms'\nenv.COLOUR = 'red'\n")
    p.file("note.sh", note)
    hooks = "".join(f"hooks.{point} = 'sh note.sh'\n" for point in POINTS)
    p.write(p.config.read_text() + hooks)
    p.up()
    wait_for(lambda: len(notes(p)) == 4)
    pid = p.pids("web")[0]
    assert p.client.command("stop", "web").ok
    wait_for(lambda: len(notes(p)) == 10)
    found = notes(p)
    told = {line.split()[0]: line for line in found}
    assert found[0] == "before_start web - - - - red"
    assert found[1] == "before_spawn web 1 - - - red"
    assert told["after_spawn"] == f"after_spawn web 1 {pid} - - red"
    assert told["after_start"] == "after_start web - - - - red"
    assert found[4] == "before_stop web - - - - red"
    assert found[5] == f"before_signal web 1 {pid} 15 - red"
    assert told["after_reap"] == f"after_reap web 1 {pid} - -15 red"
    order = [line.split()[0] for line in found]
    assert order.index("before_reap") < order.index("after_reap")
    wait_for(lambda: {e.data["hook"] for e in p.events("hook.done")} == set(POINTS))


def test_a_before_start_that_fails_keeps_the_service_down_and_says_why(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        autostart = false
        hooks.before_start = "sh -c 'echo no table users; test -e ok'"
        [service.needs]
        command = "sleep 60"
        needs = ["web"]
        autostart = false
    """).up()
    outcome = p.client.command("start", "web")
    assert (outcome.ok, outcome.exit_code) == (False, 1)
    assert "before_start: ended with 1" in outcome.error
    (failed,) = p.events("hook.failed")
    assert failed.data == {
        "hook": "before_start",
        "why": "ended with 1",
        "outcome": "abort",
        "lines": ["no table users"],
    }
    assert p.service("web").reason == "before_start: ended with 1: no table users"
    assert p.service("web").state == "failed"
    [problem] = p.status().problems
    assert "no table users" in str(problem)
    assert len(p.events("service.failed", "web")) == 1
    assert p.client.command("stop", "web").ok
    assert (p.service("web").state, p.service("web").reason) == ("stopped", "")
    assert not p.client.command("start", "needs", timeout=2).ok
    (p.folder / "ok").touch()
    assert p.client.command("start", "web").ok
    p.until("needs", "running")


def test_a_service_is_starting_while_its_before_start_runs(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "10ms"
        hooks.before_start = "sh -c 'echo begun >> notes; until test -e ok; do sleep 0.05; done'"
    """).up()
    wait_for(lambda: notes(p))
    web = p.service("web")
    assert web.state == "starting"
    assert re.fullmatch(r"before_start runs for \d+ s, at most 10 s", web.reason)
    p.file("ok", "")
    assert p.until("web", "running").reason == ""


def test_a_hook_that_hangs_is_killed_with_all_that_it_started(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        autostart = false
        [service.other]
        command = "sleep 60"
        ready.alive = "20ms"
        [service.web.hooks.before_start]
        run = ["sh", "-c", "setsid sleep 77 & echo $! > stray; trap '' TERM; sleep 78"]
        timeout = "500ms"
        on_failure = "ignore"
    """).up()
    p.client.command("start", "web", wait=False)
    wait_for(lambda: (p.folder / "stray").read_text().strip())
    stray = int((p.folder / "stray").read_text())
    assert p.client.command("restart", "other").ok  # the brain goes on meanwhile
    p.until("web", "running")
    wait_for(lambda: not alive(stray), what="the stray is gone")
    assert p.events("hook.failed")[0].data["why"] == "took longer than 0.5 s"


def test_a_before_spawn_that_fails_counts_as_a_failed_start(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        restart.delay = "10ms"
        hooks.before_spawn = "test -e ok"
    """).up()
    p.until("web", "backoff")
    wait_for(lambda: len(p.events("process.spawn_failed", "web")) >= 2)
    (p.folder / "ok").touch()
    p.until("web", "running")


def test_an_after_spawn_that_fails_ends_the_process(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "5s"
        hooks.after_spawn = "sh -c 'test -e ok'"
    """).up()
    wait_for(lambda: p.events("process.exited", "web"))
    assert p.service("web").restarts >= 1 or p.service("web").state == "backoff"
    (p.folder / "ok").touch()
    p.until("web", "running")


def test_an_after_start_that_fails_takes_the_service_down(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        autostart = false
        hooks.after_start = "false"
    """).up()
    outcome = p.client.command("start", "web")
    assert not outcome.ok
    p.until("web", "failed")
    assert p.service("web").reason == "after_start: ended with 1"


def test_a_signal_can_be_kept_back_but_not_a_stop(project: New) -> None:
    p = project("""
        [service.web]
        command = "sh -c 'trap \\"echo hup >> got\\" HUP; while true; do sleep 0.05; done'"
        ready.alive = "50ms"
        stop_timeout = "300ms"
        hooks.before_signal = "test -e may"
    """).up()
    p.until("web", "running")
    refused = p.client.command("signal", "web", signal="HUP")
    assert (refused.ok, refused.exit_code) == (False, 4)
    assert "before_signal: ended with 1" in refused.error
    (p.folder / "may").touch()
    assert p.client.command("signal", "web", signal="HUP").ok
    wait_for(lambda: (p.folder / "got").read_text() == "hup\n")
    (p.folder / "may").unlink()
    assert p.client.command("stop", "web").ok  # its grace time ends, then it is killed
    assert p.events("process.killed", "web")


def test_hooks_never_hold_up_a_stop_for_longer_than_their_time(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        [service.web.hooks.before_stop]
        run = "sleep 66"
        timeout = "200ms"
        [service.web.hooks.after_stop]
        run = "sleep 67"
        timeout = "200ms"
    """).up()
    p.until("web", "running")
    began = time.monotonic()
    assert p.client.command("stop", "web").ok
    assert time.monotonic() - began < 60
    assert len(p.events("hook.failed", "web")) == 2


def test_a_running_service_is_not_started_anew_by_a_new_brain(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        hooks.before_start = "sh -c 'echo start >> notes'"
        hooks.after_start = "sh -c 'echo started >> notes'"
    """).up()
    wait_for(lambda: notes(p) == ["start", "started"])
    pids = p.pids("web")
    p.kill_brain()
    p.when(lambda: p.service("web").state == "running")
    assert p.pids("web") == pids
    assert notes(p) == ["start", "started"]


def test_extended_stats_are_shown_with_each_process(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        processes = 2
        ready.alive = "20ms"
        [service.web.hooks.extended_stats]
        run = ["sh", "-c", "echo '{\\"jobs\\":' $CHAPITEAU_PROCESS '}'"]
        interval = "100ms"
        [service.bad]
        command = "sleep 60"
        ready.alive = "20ms"
        hooks.extended_stats = { run = "echo nonsense", interval = "50ms" }
    """).up()
    wait_for(lambda: [s.extra for s in p.service("web").processes] == [{"jobs": 1}, {"jobs": 2}])
    raw = json.loads(p.client.status_json())
    assert raw["services"][0]["processes"][0]["extra"] == {"jobs": 1}
    wait_for(lambda: p.events("hook.failed", "bad"))
    assert len(p.events("hook.failed", "bad")) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hooks.befor_start = 'x'", "did you mean 'before_start'?"),
        ("hooks.after_stop = { run = 'x', on_failure = 'abort' }", "can't be prevented"),
        ("hooks.before_start = ''", "is empty"),
        ("hooks.before_start = { run = 'x', timout = '1s' }", "did you mean 'timeout'?"),
        ('hooks.before_start = "echo \'x"', "close the quote"),
    ],
)
def test_check_finds_hooks_that_can_not_be(project: New, text: str, says: str) -> None:
    p = project(f"[service.web]\ncommand = 'sleep 1'\n{text}\n")
    done = run_cli("check", cwd=p.folder)
    assert done.returncode == 8
    assert says in done.stderr


def test_a_hook_of_a_dead_brain_is_ended_and_what_it_stood_before_begins_anew(
    project: New,
) -> None:
    p = project("""
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        [service.web.hooks.before_start]
        run = ["sh", "-c", "echo $$ >>notes; [ -e go ] && exit; sleep 61 & echo $! >>notes; wait"]
        timeout = "60s"
    """).up()
    hook, child = map(int, wait_for(lambda: len(notes(p)) == 2 and notes(p)))
    p.kill_brain()
    (p.folder / "go").touch()
    wait_for(lambda: not alive(hook) and not alive(child), what="nobody waits for them any more")
    assert "2 hooks and probes" in p.events("supervisor.swept")[0].text
    wait_for(lambda: len(notes(p)) >= 3)
