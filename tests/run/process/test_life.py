"""Starting, waiting, restarting, readiness: with real processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.cli.status_table import status_table
from chapiteau.run.system import runtime_dirs as meeting
from chapiteau.run.system.runtime_dirs import runtime_dir
from tests.support import alive, as_root, wait_for

pytestmark = pytest.mark.slow
New = "Callable[[str], Project]"


def test_a_one_shot_must_end_with_0_before_others_start(project: New) -> None:
    p = project("""
        [service.load]
        command = "sh -c 'until test -e go; do sleep 0.02; done; touch loaded'"
        one_shot = true
        [service.web]
        command = "sh -c 'test -e loaded && exec sleep 60'"
        needs = ["load"]
        ready.alive = "100ms"
    """).up()
    assert p.service("web").state == "waiting"
    assert p.service("web").reason == "waits for load, which is starting"
    (p.folder / "go").touch()
    p.until("web", "running")
    assert p.service("web").restarts == 0
    assert p.service("load").state == "completed"


def test_a_one_shot_that_failed_holds_the_others_back_until_it_is_mended(project: New) -> None:
    p = project("""
        [service.load]
        command = "test -e ok"
        one_shot = true
        [service.web]
        command = "sleep 60"
        needs = ["load"]
        ready.alive = "100ms"
    """).up()
    p.until("load", "failed")
    assert "load, which is failed" in p.until("web", "waiting").reason
    (p.folder / "ok").touch()
    assert p.client.command("start", "load").ok
    p.until("web", "running")


def test_a_migration_runs_before_a_reload_that_needs_it_and_holds_it_back(project: New) -> None:
    toml = """
        [service.migrate]
        command = "sh -c 'echo x >>ran; test ! -e bad'"
        one_shot = true
        before_reload = true
        [service.web]
        command = "sleep {n}"
        needs = ["migrate"]
        ready.alive = "10ms"
        [service.worker]
        command = "sleep 600"
        needs = ["migrate"]
        ready.alive = "10ms"
    """
    p = project(toml.format(n=600)).up()
    p.until("web", "running")
    p.until("worker", "running")
    assert p.client.command("reload", "web,worker").ok
    assert (p.folder / "ran").read_text() == "x\nx\n", "once for both"
    assert "has completed already" in p.client.command("start", "migrate").text
    pids = p.pids("web")
    bad = p.file("bad", "")
    p.write(toml.format(n=601))
    for outcome in (p.client.command("reload", "web"), p.client.apply()):
        assert (outcome.ok, outcome.exit_code) == (False, 1)
        assert "web was not reloaded, its processes go on: migrate is failed" in outcome.error
    assert p.pids("web") == pids
    bad.unlink()
    assert p.client.apply().ok
    assert p.service("web").command == "sleep 601"
    assert p.service("migrate").state == "completed"
    before = (p.folder / "ran").read_text()
    p.write(toml.replace("echo x", "echo y").format(n=602))
    assert p.client.apply().ok
    assert (p.folder / "ran").read_text() == before + "y\n", "what is new has run once, for both"


def test_status_tells_what_a_reload_waits_for_before_it_begins(project: New) -> None:
    p = project("""
        [service.migrate]
        command = "sh -c 'echo x >>ran; until test -e ok; do sleep 0.05; done; rm ok'"
        one_shot = true
        before_reload = true
        [service.web]
        command = "sleep 600"
        needs = ["migrate"]
        ready.alive = "10ms"
    """)
    p.file("ok", "")
    p.up()
    p.until("web", "running")
    assert p.client.command("reload", "web", wait=False).ok
    assert p.until("web", "reloading").reason == "its reload waits for migrate, which runs before"
    shown = status_table(p.client.status(), time.time())
    assert "! web is reloading: its reload waits for migrate, which runs before" in shown
    p.file("ok", "")
    p.until("web", "running")
    wait_for(lambda: p.events("service.reloaded"))
    assert (p.folder / "ran").read_text() == "x\nx\n"


def test_a_killed_process_is_back_at_once_with_its_number(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        processes = 3
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    before = p.pids("web")
    os.kill(before[1], signal.SIGKILL)
    wait_for(lambda: len(set(p.pids("web")) - set(before)) == 1)
    p.until("web", "running")
    after = p.service("web")
    assert [x.number for x in after.processes] == [1, 2, 3]
    assert after.processes[1].last_exit["signal"] == signal.SIGKILL
    assert after.restarts == 1


def test_a_service_that_dies_at_once_tells_its_last_words_and_the_cause(project: New) -> None:
    p = project("""
        [service.bad]
        command = "python3 -c 'import nosuchmodule'"
        restart.attempts = 2
        restart.delay = "50ms"
    """).up()
    found = p.until("bad", "failed")
    last = found.processes[0].last_exit
    assert last["code"] == 1
    assert last["cause"] == "import error: No module named 'nosuchmodule'"
    assert "ModuleNotFoundError" in last["lines"][-1]
    assert len(last["lines"]) < 8, "lines of earlier lives do not belong here"
    assert any(problem.where == "bad" for problem in p.status().problems)


def test_a_command_that_is_not_there_is_named(project: New) -> None:
    p = project("""
        [service.bad]
        command = "gunicron shop:app"
        restart.attempts = 1
    """).up()
    found = p.until("bad", "failed")
    assert "command not found: gunicron" in found.reason


def test_start_answers_with_what_happened(project: New) -> None:
    p = project("""
        [service.bad]
        command = "sh -c 'echo no luck >&2; exit 3'"
        autostart = false
        restart.delay = "10ms"
        [service.good]
        command = "sleep 60"
        autostart = false
        ready.alive = "50ms"
    """).up()
    assert p.service("good").state == "stopped"
    outcome = p.client.command("start", "good")
    assert (outcome.ok, outcome.text) == (True, "good started, 1 ready")
    outcome = p.client.command("start", "bad")
    assert not outcome.ok
    assert "exit 3" in outcome.error
    assert "no luck" in outcome.error
    partial = p.client.command("restart", "all")
    assert partial.exit_code == 7


def test_ready_by_sd_notify_counts_only_from_the_process_itself(project: New) -> None:
    p = project("""
        [service.web]
        command = "python3 web.py"
        ready.notify = true
    """)
    p.file("web.py", """
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(b"STATUS=warming up")
        while not os.path.exists("go"):
            time.sleep(0.02)
        s.send(b"READY=1\\nSTATUS=fine")
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    wait_for(lambda: p.service("web").processes[0].status_text == "warming up")
    assert p.service("web").state == "starting"
    # A stranger who says READY changes nothing.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1", str(runtime_dir(p.folder / ".chapiteau") / "notify.sock"))
    (p.folder / "go").touch()
    p.until("web", "running")
    assert p.service("web").processes[0].ready


@as_root
def test_a_process_of_another_user_can_say_that_it_is_ready(project: New) -> None:
    p = project("""
        [service.web]
        command = ["/usr/bin/python3", "-c", '''
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        time.sleep(600)
        ''']
        user = "nobody"
        ready.notify = true
    """).up()
    p.until("web", "running")
    assert (p.folder / ".chapiteau").stat().st_mode & 0o077 == 0, "it can't come near the rest"


@as_root
def test_a_start_that_fails_leaves_no_folder_for_other_users(project: New) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        p = project(f"""
            [socket.web]
            port = {taken.getsockname()[1]}
            [service.web]
            command = "sleep 600"
            sockets = ["web"]
        """)
        with pytest.raises(ChapiteauError, match="Address already in use"):
            p.up()
    assert not meeting._own(p.folder / ".chapiteau").exists()


def test_the_processes_of_a_web_service_get_a_folder_to_count_in(project: New) -> None:
    p = project("""
        [socket.web]
        port = 0
        [service.web]
        app = "shop:make"
        sockets = ["web"]
        [service.own]
        app = "shop:make"
        sockets = ["web"]
        env = { CHAPITEAU_METRICS_FOLDER = "" }
    """)
    p.file("shop.py", """
        import os
        from pathlib import Path
        def make():
            name = os.environ["CHAPITEAU_SERVICE"]
            Path(name).write_text(os.environ["CHAPITEAU_METRICS_FOLDER"])
    """)  # fmt: skip
    p.up()
    wait_for(lambda: (p.folder / "web").exists() and (p.folder / "own").exists())
    wait_for((p.folder / "web").read_text)
    figures = Path((p.folder / "web").read_text())
    assert figures.is_dir()
    assert figures.stat().st_mode & 0o777 == 0o700
    assert (p.folder / "own").read_text() == ""
    p.down()
    assert not figures.exists()


def test_ready_by_a_line_of_output_and_not_in_time(project: New) -> None:
    p = project("""
        [service.good]
        command = "sh -c 'sleep 0.3; echo listening on 1; exec sleep 60'"
        ready.log = "listening on [0-9]+"
        [service.late]
        command = "sleep 60"
        ready.log = "never said"
        ready.start_timeout = "300ms"
        restart.attempts = 1
        stop_timeout = "1s"
    """).up()
    p.until("good", "running")
    assert "not ready within 0.3 s" in p.until("late", "failed").reason


def test_ready_by_http_on_a_held_socket(project: New) -> None:
    p = project("""
        [socket.web]
        [service.web]
        command = "python3 web.py"
        sockets = ["web"]
        ready.http = "socket:web/health"
    """)
    p.file("web.py", """
        import http.server, os, socket
        class H(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/health" else 404)
                self.end_headers()
            def log_message(self, *a): pass
        assert os.environ["LISTEN_PID"] == str(os.getpid())
        assert os.environ["LISTEN_FDNAMES"] == "web"
        s = http.server.HTTPServer(("", 0), H, bind_and_activate=False)
        s.socket = socket.socket(fileno=3)
        s.serve_forever()
    """)  # fmt: skip
    p.up()
    p.until("web", "running")


def test_one_that_accepts_is_ready_also_beside_others_that_do(project: New) -> None:
    p = project("""
        [socket.web]
        [service.web]
        command = "python3 web.py"
        sockets = ["web"]
        processes = 2
        ready = { accept = "web", interval = "20ms" }
    """)
    p.file("web.py", """
        import os, socket, time
        s = socket.socket(fileno=3)
        while os.path.exists("not-yet"):
            time.sleep(0.01)
        while True:
            c, _ = s.accept()
            c.recv(1)
            c.close()
    """)  # fmt: skip
    (p.folder / "not-yet").touch()
    p.up()
    wait_for(lambda: "accepted no connection" in p.service("web").processes[0].status_text)
    assert not p.service("web").ready
    (p.folder / "not-yet").unlink()
    p.until("web", "running")
    old = p.pids("web")
    assert p.client.command("reload", "web").ok
    assert not set(old) & set(p.pids("web"))


def test_a_liveness_probe_replaces_the_one_sick_process(project: New) -> None:
    p = project("""
        [service.web]
        command = "sh -c 'rm -f sick; exec sleep 600'"
        ready.alive = "50ms"
        live.exec = "test ! -e sick"
        live.interval = "100ms"
        live.failures = 2
        stop_timeout = "1s"
    """).up()
    p.until("web", "running")
    old = p.pids("web")
    (p.folder / "sick").touch()
    wait_for(lambda: p.pids("web") not in ([], old), what="a new process")
    told = wait_for(lambda: p.events("process.unhealthy"))
    assert "2 probes in a row failed" in told[0].text
    assert told[0].data["stacks"][0].startswith("thread")
    assert not alive(old[0])
    last = p.service("web").processes[0].last_exit["text"]
    assert last.startswith("2 probes in a row failed")
    assert last.endswith("; killed by SIGABRT")


def test_a_silent_watchdog_gets_the_stacks_of_a_python_program(project: New) -> None:
    p = project("""
        [service.web]
        command = "python3 web.py"
        ready.notify = true
        watchdog = "300ms"
    """)
    p.file("web.py", """
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(b"READY=1")
        def stuck_in_here():
            time.sleep(600)
        stuck_in_here()
    """)  # fmt: skip
    p.up()
    told = wait_for(lambda: p.events("process.unhealthy"))
    assert "no WATCHDOG=1" in told[0].text
    assert any("stuck_in_here" in line for line in told[0].data["lines"])


def test_a_scheduled_job_runs_once_at_each_of_its_times(project: New) -> None:
    p = project("""
        [service.tick]
        command = ["sh", "-c", "echo x >>ticks"]
        schedule = "@every 1s"
        [service.long]
        command = ["sh", "-c", "echo x >>longs; sleep 600"]
        schedule = "@every 1s"
        overlap = "kill"
    """).up()
    count = lambda name: len((p.folder / name).read_text().split())  # noqa: E731
    wait_for(lambda: count("ticks") >= 2 and count("longs") >= 2, what="two times")
    starts = [e for e in p.events("command.done", "tick") if e.who == "schedule"]
    assert abs(len(starts) - count("ticks")) <= 1, "once at each time, however it ends"
    assert p.service("tick").restarts == 0
    assert not [x for x in p.status().problems if x.where == "tick"]
    assert p.service("tick").next_run


def test_a_scheduled_run_that_is_over_is_not_run_again_by_another_brain(project: New) -> None:
    p = project("""
        [service.good]
        command = ["sh", "-c", "echo x >>good"]
        schedule = "@yearly"
        [service.bad]
        command = ["sh", "-c", "echo x >>bad; exit 3"]
        schedule = "@yearly"
    """).up()
    p.client.command("start", "all")
    p.until("good", "completed")
    p.until("bad", "failed")
    p.kill_brain()
    assert p.service("good").state == "completed"
    assert p.service("bad").state == "failed"
    assert (p.folder / "good").read_text() == (p.folder / "bad").read_text() == "x\n"
    assert len(p.events("process.spawned")) == 2
    assert p.client.command("start", "good").text == "good completed", "who asks for it gets it"
    assert (p.folder / "good").read_text() == "x\nx\n"


def test_one_process_is_restarted_reloaded_and_stopped_and_the_others_go_on(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        processes = 3
        ready.alive = "20ms"
    """).up()
    p.until("web", "running")
    one, two, three = p.pids("web")
    assert p.client.command("restart", "web", process=2).ok
    now = p.pids("web")
    assert (now[0], now[2]) == (one, three)
    assert now[1] != two
    assert p.client.command("reload", "web", process=1).ok
    assert p.pids("web")[1:] == now[1:]
    assert p.pids("web")[0] != one
    assert p.client.command("stop", "web", process=3).ok
    assert len(p.pids("web")) == 2
    assert p.client.command("restart", "web", process=9).exit_code == 3
    assert p.client.command("start", "web").ok
    assert len(p.pids("web")) == 3


def test_scale_up_and_down_keeps_the_others(project: New) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        processes = 2
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    before = p.pids("web")
    assert p.client.command("scale", "web", processes=5).ok
    assert p.pids("web")[:2] == before
    assert len(p.pids("web")) == 5
    assert p.client.command("scale", "web", processes=10_001).exit_code == 2
    assert p.client.command("scale", "web", by=-4).ok
    assert p.pids("web") == before[:1]


def test_sockets_are_handed_over_in_the_mode_that_is_asked_for(project: New) -> None:
    """Also after the death of a brain: the mode is shared by all who have the socket."""
    p = project("""
        [socket.plain]
        [socket.busy]
        blocking = false
        [service.web]
        command = "python3 modes.py"
        sockets = ["plain", "busy"]
        ready.alive = "200ms"
    """)
    p.file("modes.py", """
        import os, time
        with open("modes", "a") as out:
            print([os.get_blocking(fd) for fd in (3, 4)], file=out)
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    p.until("web", "running")
    p.kill_brain()
    assert p.client.command("restart", "web").ok
    wait_for(lambda: (p.folder / "modes").read_text() == "[True, False]\n" * 2)


def test_a_service_without_processes_answers_at_once(project: New) -> None:
    """Nothing will ever be ready: commands on it must not wait for that."""
    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    for verb, more in (("scale", {"processes": 0}), ("restart", {}), ("reload", {}), ("stop", {})):
        answer = p.client.command(verb, "web", timeout=5.0, **more)
        assert answer.ok, (verb, answer)
    assert p.client.command("start", "web", timeout=5.0).ok
    assert p.client.command("scale", "web", processes=1).ok
    p.until("web", "running")
    assert len(p.pids("web")) == 1


def test_the_last_probe_of_a_process_is_told_with_its_time(project: New) -> None:
    p = project("""
        [service.web]
        command = ["sh", "-c", "touch up; exec sleep 600"]
        ready.exec = "test -e up"
        live = { exec = "test -e up", interval = "100ms", failures = 1000 }
    """).up()
    p.until("web", "running")
    wait_for(lambda: p.service("web").processes[0].health.get("ok"))
    health = p.service("web").processes[0].health
    assert (health["what"], health["why"]) == ("test -e up", "")
    assert health["ms"] > 0
    (p.folder / "up").unlink()
    wait_for(lambda: p.service("web").processes[0].health["ok"] is False)
    assert p.service("web").processes[0].health["why"] == "ended with 1"
