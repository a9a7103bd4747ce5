"""Reloads: no request lost, no stall, and a broken new version harms nobody."""

from __future__ import annotations

import re
import socket
import stat
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.errors import AlreadyRunningError
from tests.run.load import Clients
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.run.logs.messages import Outcome
    from tests.run.project import Project

pytestmark = pytest.mark.slow
New = "Callable[[str], Project]"

# Importing it takes a second, as real applications do, and longer while there is a file "hold".
SLOW_APP = """
    import os, time
    open("importing", "w").close()
    time.sleep(1.0)
    while os.path.exists("hold"):
        time.sleep(0.01)
    if os.path.exists("broken"):
        raise RuntimeError("the new version is broken")
    def make(*a, **k):
        def app(environ, start_response):
            body = str(os.getpid()).encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        return app
    app = make()
    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            return
        body = str(os.getpid()).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""


def web(command: str, ready: str) -> str:
    return f"""
        [socket.web]
        [service.web]
        {command}
        processes = 2
        sockets = ["web"]
        {ready}
        stop_timeout = "5s"
    """


def answered(address: str) -> int:
    """How many answers a client gets in a moment."""
    with Clients(address, keep=False, count=1) as seen:
        pass
    return seen.done


STARTED = 'ready.log = "Application startup complete"'
UNREAD = "closed before any byte of an answer"


def replaced(
    p: Project, keep: bool, may_lose: str = "nothing at all", *, knows_its_import: bool = True
) -> None:
    p.file("slow.py", SLOW_APP)
    p.up()
    p.until("web", "running")
    # A sign that comes before the import (gunicorn's) says nothing of the first answer.
    wait_for(lambda: answered(p.address("web")), what="a first answer")
    before = set(p.pids("web"))
    if knows_its_import:
        (p.folder / "importing").unlink()
        (p.folder / "hold").touch()
    with Clients(p.address("web"), keep=keep) as seen, ThreadPoolExecutor() as pool:
        reloading = pool.submit(p.client.command, "reload", "web")
        if knows_its_import:
            wait_for((p.folder / "importing").exists)
            for _ in range(5):  # nobody waits for the import
                urllib.request.urlopen(f"http://{p.address('web')}/", timeout=60).close()
            (p.folder / "hold").unlink()
        outcome = reloading.result()
    assert outcome.ok, outcome.error
    assert not before & set(p.pids("web"))
    assert [why for why in seen.failed if may_lose not in why] == []
    assert seen.done > 50


@pytest.mark.parametrize("keep", [True, False], ids=["keep-alive", "new-connections"])
def test_our_worker_loses_nothing(project: New, keep: bool) -> None:
    replaced(project(web('app = "slow:make"', "")), keep)


@pytest.mark.parametrize("keep", [True, False], ids=["keep-alive", "new-connections"])
def test_gunicorn_loses_nothing(project: New, keep: bool) -> None:
    command = f'command = "{sys.executable} -m gunicorn -k gthread --threads 4 slow:app"'
    ready = 'ready.log = "Booting worker"\n        drain = "1500ms"'
    replaced(project(web(command, ready)), keep, knows_its_import=False)


@pytest.mark.long
@pytest.mark.parametrize("keep", [True, False], ids=["keep-alive", "new-connections"])
def test_gunicorn_that_is_ready_when_it_accepts_loses_nothing(project: New, keep: bool) -> None:
    command = f'command = "{sys.executable} -m gunicorn -k gthread --threads 4 slow:app"'
    replaced(project(web(command, 'ready.accept = "web"')), keep, knows_its_import=False)


def test_uvicorn_by_our_launcher_loses_nothing(project: New) -> None:
    replaced(uvicorn(project), keep=False)


@pytest.mark.long
def test_uvicorn_by_our_launcher_loses_nothing_of_kept_connections(project: New) -> None:
    replaced(uvicorn(project), keep=True)


def uvicorn(project: New) -> Project:
    command = f'command = "{sys.executable} -m chapiteau.run.launch.uvicorn slow:asgi"'
    return project(web(command, "ready.notify = true"))


@pytest.mark.long
def test_uvicorn_by_itself_loses_only_what_it_had_not_read(project: New) -> None:
    """A connection that it had just accepted may be closed; whatever it read it answers."""
    command = f'command = "{sys.executable} -m uvicorn --fd ${{socket.web.fd}} slow:asgi"'
    replaced(project(web(command, STARTED)), keep=False, may_lose=UNREAD)


@pytest.mark.long
@pytest.mark.parametrize("keep", [True, False], ids=["keep-alive", "new-connections"])
def test_gunicorn_is_ready_after_its_import_with_preload(project: New, keep: bool) -> None:
    command = f'command = "{sys.executable} -m gunicorn --threads 4 --preload slow:app"'
    replaced(project(web(command, 'ready.log = "Booting worker"')), keep)


@pytest.mark.long
@pytest.mark.parametrize("keep", [True, False], ids=["keep-alive", "new-connections"])
def test_waitress_by_our_launcher_loses_nothing(project: New, keep: bool) -> None:
    command = f'command = "{sys.executable} -m chapiteau.run.launch.waitress slow:app"'
    replaced(project(web(command, "ready.notify = true")), keep)


def test_what_another_process_answers_makes_no_broken_one_ready(project: New) -> None:
    """A probe of the shared socket is answered by an old process, long before the new one fails."""
    command = f'command = "{sys.executable} -m chapiteau.run.launch.waitress slow:app"'
    p = project(web(command, 'ready.http = "socket:web/"'))
    p.file("slow.py", SLOW_APP)
    p.up()
    p.until("web", "running")
    before = set(p.pids("web"))
    p.file("broken", "")
    outcome = p.client.command("reload", "web")
    assert not outcome.ok
    assert "the new version is broken" in outcome.error
    assert set(p.pids("web")) == before
    assert answered(p.address("web"))


def test_a_replaced_process_has_its_time_to_end_also_when_the_brain_dies(project: New) -> None:
    p = project("""
        [service.web]
        command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
        stop_timeout = "3s"
        ready.alive = "10ms"
    """).up()
    p.until("web", "running")
    [old] = p.pids("web")
    p.client.command("reload", "web", wait=False)
    wait_for(lambda: [e for e in p.events("process.stopping") if e.pid == old])
    p.kill_brain()
    [left] = [one for one in p.service("web").processes if one.pid == old]
    assert left.state == "draining"
    assert re.fullmatch(
        r"replaced, finishes its work: asked to end \d s ago, killed in \d s", left.reason
    )
    p.when(lambda: p.pids("web") and old not in p.pids("web"), what="the old one has ended")
    assert len([e for e in p.events("process.stopping") if e.pid == old]) == 1, "asked once"
    p.until("web", "running")
    assert len(p.pids("web")) == 1


def test_a_reload_that_a_brain_died_over_is_completed_and_the_caller_told(project: New) -> None:
    """Of one service, and of a changed file."""
    toml = """
        [service.web]
        command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done", "{v}"]
        processes = 2
        ready = {{ exec = "test -e go", interval = "20ms" }}
        [service.other]
        command = "sleep 600"
    """
    p = project(toml.format(v="one"))
    go = p.file("go", "")
    p.up()
    p.until("web", "running")

    def changed(deed: Callable[[], Outcome]) -> Outcome:
        before, spawned = p.pids("web"), len(p.events("process.spawned", "web"))
        go.unlink()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(deed)
            wait_for(lambda: len(p.events("process.spawned", "web")) > spawned)
            p.kill_brain()
            go.touch()
            outcome = asked.result(60)
        assert not set(before) & set(p.pids("web"))
        assert len(p.pids("web")) == 2
        assert not any(alive(pid) for pid in before)
        return outcome

    outcome = changed(lambda: p.client.command("reload", "web"))
    assert outcome.text == (
        "web reloaded, 2 replaced (the brain died over it, and the next one has completed it)"
    )
    p.write(toml.format(v="two"))
    outcome = changed(p.client.apply)
    assert outcome.ok
    assert "the next one has completed it" in outcome.text
    assert "two" in p.service("web").command
    assert not p.client.plan().data["changes"]
    after, spawned = p.pids("web"), len(p.events("process.spawned"))
    p.kill_brain()
    p.until("web", "running")
    assert (p.pids("web"), len(p.events("process.spawned"))) == (after, spawned), "not done again"


def test_a_broken_new_version_leaves_the_old_one_serving(project: New) -> None:
    p = project(web('app = "slow:make"', 'ready.start_timeout = "10m"'))
    p.file("slow.py", SLOW_APP)
    p.up()
    p.until("web", "running")
    before = p.pids("web")
    (p.folder / "broken").touch()
    with Clients(p.address("web"), keep=True) as seen:
        outcome = p.client.command("reload", "web")
    assert not outcome.ok
    assert "2 old processes went on serving" in outcome.error
    assert "the new version is broken" in outcome.error
    assert p.pids("web") == before
    assert seen.failed == []
    assert p.service("web").state == "running"


def test_a_canary_that_does_not_stay_up_leaves_all_the_others(project: New) -> None:
    """It works beside the old ones, and is given up as soon as it ends, not after its time."""
    p = project("""
        [service.web]
        command = ["sh", "-c", "test -e bad && { sleep 0.2; exit 3; }; exec sleep 600"]
        processes = 2
        ready.alive = "50ms"
        canary = "10m"
    """).up()
    p.until("web", "running")
    before = p.pids("web")
    (p.folder / "bad").touch()
    outcome = p.client.command("reload", "web")
    assert not outcome.ok
    assert "did not stay up (exit 3); 2 old processes went on serving" in outcome.error
    assert p.pids("web") == before


def test_a_changed_command_that_does_not_get_ready_is_rolled_back(project: New) -> None:
    """The second of two new processes fails: the first one goes back to the old settings."""
    toml = """
        [service.web]
        command = ["sh", "-c", "echo {v} ${{process.number}} > v.${{process.number}}; \
                   test {bad} != ${{process.number}} && exec sleep 600"]
        processes = 2
        ready.alive = "300ms"
        restart.attempts = 2
    """
    p = project(toml.format(v="one", bad=0)).up()
    p.until("web", "running")
    p.write(toml.format(v="two", bad=2))
    outcome = p.client.apply()
    assert not outcome.ok
    assert "as it was before" in outcome.error
    p.until("web", "running")
    wait_for(lambda: (p.folder / "v.1").read_text() == "one 1\n", what="back to the old command")


def test_processes_that_went_on_serving_are_not_replaced_by_going_back(project: New) -> None:
    toml = """
        [socket.web]
        [service.web]
        command = ["sh", "-c", "{first}exec sleep 600"]
        sockets = ["web"]
        ready.alive = "50ms"
    """
    p = project(toml.format(first="")).up()
    p.until("web", "running")
    before = p.pids("web")
    p.write(toml.format(first="exit 3; "))
    assert "went on serving" in p.client.apply().error
    assert p.pids("web") == before


def test_only_what_changed_restarts(project: New) -> None:
    toml = """
        [service.a]
        command = "sleep 600"
        ready.alive = "50ms"
        [service.b]
        command = "sleep {b}"
        ready.alive = "50ms"
        {more}
    """
    p = project(toml.format(b=601, more="")).up()
    p.until("a", "running")
    p.until("b", "running")
    a, b = p.pids("a"), p.pids("b")
    p.write(toml.format(b=602, more='[service.c]\n        command = "sleep 603"'))
    planned = p.client.plan()
    assert [(c["name"], c["effect"]) for c in planned.data["changes"]] == [
        ("b", "restart"),
        ("c", "start"),
    ]
    assert p.client.apply().ok
    assert p.pids("a") == a
    assert p.pids("b") != b
    p.until("c", "running")
    p.write(toml.format(b=602, more=""))
    assert p.client.apply().ok
    assert [s.name for s in p.status().services] == ["a", "b"]


def test_a_file_with_a_mistake_changes_nothing(project: New) -> None:
    p = project('[service.a]\ncommand = "sleep 600"\nready.alive = "50ms"').up()
    p.until("a", "running")
    before = p.pids("a")
    p.write('[service.a]\ncomand = "sleep 700"')
    outcome = p.client.apply()
    assert not outcome.ok
    assert "did you mean 'command'?" in outcome.error
    assert p.pids("a") == before
    wait_for((p.folder / ".chapiteau/applied.json").exists)
    p.kill_brain()  # a new brain follows what ran, not the file that is being edited
    assert p.pids("a") == before


def test_a_port_that_is_taken_refuses_the_whole_change(project: New) -> None:
    toml = """
        [socket.web]
        port = {port}
        [service.a]
        command = "sleep {n}"
        sockets = ["web"]
        ready.alive = "50ms"
    """
    p = project(toml.format(port=0, n=600)).up()
    p.until("a", "running")
    before, address = p.pids("a"), p.address("web")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        p.write(toml.format(port=taken.getsockname()[1], n=601))
        outcome = p.client.apply()
    assert not outcome.ok
    assert "in use" in outcome.error
    assert (p.pids("a"), p.address("web")) == (before, address)


def test_sockets_change_in_place_move_and_take_another_name(project: New) -> None:
    toml = """
        [socket.{web}]
        port = {port}
        {host}
        [socket.adm]
        path = "{path}"
        mode = "{mode}"
        {owner}
        [service.a]
        command = "sleep 600"
        sockets = ["{web}"]
        ready.alive = "1ms"
    """
    first = {"web": "web", "port": 0, "host": "", "path": "a.sock", "mode": "0640", "owner": ""}
    p = project(toml.format(**first)).up()
    p.until("a", "running")
    before, port = p.pids("a"), int(p.address("web").rpartition(":")[2])

    def outcome(**change: object) -> Outcome:
        first.update(change)
        p.write(toml.format(**first))
        return p.client.apply()

    def rights() -> str:
        return f"{stat.S_IMODE((p.folder / 'a.sock').stat().st_mode):04o}"

    assert rights() == "0640"
    assert outcome(mode="0600").ok
    assert rights() == "0600"
    assert "no-such" in outcome(mode="0644", owner='owner = "no-such"').error
    assert rights() == "0600"
    assert outcome(mode="0600", owner="", path="b.sock").ok
    assert [f.name for f in p.folder.glob("*.sock")] == ["b.sock"]
    assert p.pids("a") == before
    with socket.create_connection(("127.0.0.1", port)):  # it waits in the queue meanwhile
        assert outcome(web="www", port=port).ok  # "any" port became the one that it has
        wait_for(lambda: p.status().sockets[0].queued == 1)
    assert p.pids("a") != before
    refused = outcome(host='host = "0.0.0.0"')
    assert "by the socket 'www' as it is now" in refused.error
    assert "chapiteau down" in refused.hint


def test_what_is_down_stays_down_when_the_file_changes_and_another_run_dir_is_refused(
    project: New,
) -> None:
    toml = """
        [project]
        {run_dir}
        [service.a]
        command = "sleep {n}"
        ready.alive = "1ms"
        [service.asked]
        command = "sleep {n}"
        autostart = false
        [service.hourly]
        command = "sleep {n}"
        schedule = "@yearly"
    """
    p = project(toml.format(n=600, run_dir="")).up()
    p.until("a", "running")
    assert p.client.command("stop", "a").ok
    p.write(toml.format(n=601, run_dir=""))
    assert p.client.apply().ok
    assert [p.pids(name) for name in ("a", "asked", "hourly")] == [[], [], []]
    assert p.client.command("start", "a").ok
    (a,) = p.pids("a")
    assert Path(f"/proc/{a}/cmdline").read_bytes().endswith(b"sleep\x00601\x00")
    p.write(toml.format(n=601, run_dir='run_dir = "other"'))
    refused = p.client.apply()  # the one that runs is found where it was started
    assert (refused.ok, refused.exit_code) == (False, 4)
    with pytest.raises(AlreadyRunningError, match=r"\.chapiteau"):
        p.up()
    assert not (p.folder / "other").exists()
