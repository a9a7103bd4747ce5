"""Each shipped plugin at work: real supervisors, real servers, real sockets."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.run.plugins.receivers import MailServer, WebServer, served
from tests.support import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

    New = Callable[[str], Project]

pytestmark = pytest.mark.slow


def said(p: Project, by: str) -> list[str]:
    return [e.text for e in p.events("plugin.message") if e.data["plugin"] == by]


# ── resources ────────────────────────────────────────────────────────────────────────────────
def test_a_process_that_burns_cpu_is_restarted_once(project: New) -> None:
    p = project(f"""
        [plugin.watch]
        use = "resources"
        options = {{ services = ["hot"], max_cpu = 2, window = "1s", action = "restart" }}
        [service.hot]
        command = ["{sys.executable}", "-c", "while True: pass"]
        ready.alive = "20ms"
        [service.cold]
        command = "sleep 60"
        ready.alive = "20ms"
    """).up()
    p.until("watch", "running")
    first = p.pids("hot")
    wait_for(lambda: p.pids("hot") and p.pids("hot") != first, what="a new process")
    (text,) = said(p, "watch")
    assert text.startswith("hot 1 uses ")
    assert text.endswith("% CPU (> 2) for 1s: restart")


# ── http ─────────────────────────────────────────────────────────────────────────────────────
def test_an_address_that_fails_restarts_its_service_and_recovers(project: New) -> None:
    with served(WebServer()) as web:
        p = project(f"""
            [plugin.shop]
            use = "http"
            [plugin.shop.options]
            url = "{web.url}/health"
            interval = "50ms"
            failures = 2
            service = "web"
            action = "restart"
            [service.web]
            command = "sleep 60"
            ready.alive = "20ms"
        """).up()
        p.until("shop", "running")
        first = p.pids("web")
        wait_for(lambda: web.got > 2, what="questions")
        web.statuses = [500, 500, 200]
        wait_for(lambda: p.pids("web") and p.pids("web") != first, what="a new process")
        wait_for(lambda: len(said(p, "shop")) == 2, what="both messages")
        down, up = said(p, "shop")
        assert down == f"{web.url}/health: answered 500 (2 times in a row): restart of web"
        assert up == f"{web.url}/health answers again"


def test_an_address_that_answers_the_wrong_thing_or_nothing_is_told(project: New) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    with served(WebServer()) as web:
        p = project(f"""
            [plugin.wrong]
            use = "http"
            options = {{ url = "{web.url}", interval = "50ms", failures = 1, contains = "great" }}
            [plugin.nobody]
            use = "http"
            options = {{ url = "{nobody}", interval = "50ms", failures = 1 }}
            [service.web]
            command = "sleep 60"
        """).up()
        wait_for(lambda: said(p, "wrong") and said(p, "nobody"), what="both messages")
        assert said(p, "wrong")[0] == f"{web.url}: the answer lacks 'great' (1 times in a row)"
        assert "Connection refused" in said(p, "nobody")[0]


# ── statsd ───────────────────────────────────────────────────────────────────────────────────
def test_figures_and_events_come_as_statsd_lines(project: New) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        p = project(f"""
            [project]
            name = "my shop"
            [plugin.figures]
            use = "statsd"
            options = {{ port = {server.getsockname()[1]}, interval = "100ms" }}
            [socket.web]
            [service."w.1"]
            command = "sleep 60"
            sockets = ["web"]
            ready.alive = "20ms"
        """).up()
        p.until("figures", "running")
        p.client.command("restart", "w.1")
        lines: set[str] = set()

        def all_there() -> bool:
            lines.update(server.recv(2000).decode().splitlines())
            prefix = "chapiteau.my_shop"
            wanted = {
                f"{prefix}.w_1.process.exited:1|c",
                f"{prefix}.w_1.ready:1|g",
                f"{prefix}.w_1.processes:1|g",
                f"{prefix}.socket.web.queued:0|g",
            }
            return wanted <= lines

        wait_for(all_there, what="every kind of line")
        assert not any("figures" in line and "|g" in line for line in lines)


# ── watchdog ─────────────────────────────────────────────────────────────────────────────────
def test_only_the_silent_process_is_replaced(project: New) -> None:
    port = free_port()
    p = project(f"""
        [plugin.dog]
        use = "watchdog"
        options = {{ port = {port}, interval = "300ms", missed = 2, grace = "300ms" }}
        [service.beat]
        command = ["{sys.executable}", "beat.py", "{port}", "${{process.number}}"]
        processes = 2
        ready.alive = "20ms"
    """)
    p.file(
        "beat.py",
        """
        import os, signal, socket, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it hangs: TERM does not help
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"nonsense", ("127.0.0.1", int(sys.argv[1])))
        while True:
            if sys.argv[2] == "1" or os.path.exists("mended"):
                s.sendto(f"{os.getpid()};{time.time()}".encode(), ("127.0.0.1", int(sys.argv[1])))
            time.sleep(0.1)
        """,
    )
    p.up()
    p.until("dog", "running")
    first, second = p.pids("beat")
    wait_for(lambda: said(p, "dog"), what="a complaint")
    (p.folder / "mended").touch()
    wait_for(lambda: len(p.pids("beat")) == 2 and second not in p.pids("beat"))
    assert first in p.pids("beat")
    assert said(p, "dog")[0] == f"beat 2 (pid {second}) was silent for 0.6 s"
    p.client.shutdown(force=True)


# ── alerts ───────────────────────────────────────────────────────────────────────────────────
ALERTS = """
    [plugin.alerts]
    use = "alerts"
    [plugin.alerts.options.to.chat]
    url = "{url}/hook/secret"
    headers = {{ Authorization = {{ file = "token" }} }}
    [plugin.alerts.options.to.people]
    mail = ["ops@example.org", "boss@example.org"]
    kinds = ["service.failed"]
    [plugin.alerts.options.smtp]
    host = "127.0.0.1"
    port = {port}
    [[plugin.alerts.options.silence]]
    services = ["noise*"]
    [service.web]
    command = "sh -c 'echo no database; test -e ok && exec sleep 60'"
    ready.alive = "20ms"
    autostart = false
    restart = {{ policy = "never" }}
    [service.noise-1]
    command = "sh -c 'exit 3'"
    autostart = false
    restart = {{ policy = "never" }}
"""


def test_trouble_is_told_by_web_and_mail_and_so_is_its_end(project: New) -> None:
    with served(WebServer()) as web, served(MailServer()) as mail:
        web.statuses = [503, 503, 200]
        p = project(ALERTS.format(url=web.url, port=mail.server_address[1]))
        p.file("token", "Bearer t0k\n").chmod(0o600)
        p.up()
        p.until("alerts", "running")
        p.client.command("start", "noise-1", wait=False)
        assert not p.client.command("start", "web").ok
        wait_for(lambda: len(web.posted) == 3 and mail.mails, what="three tries and a mail")
        headers, notice = web.posted[-1]
        assert headers["Authorization"] == "Bearer t0k"
        assert (notice["status"], notice["service"]) == ("firing", "web")
        assert notice["event"]["kind"] == "service.failed"
        assert notice["text"].startswith(f"[{p.folder.name}] web: service.failed")
        to, text = mail.mails[0]
        assert to == ["ops@example.org", "boss@example.org"]
        assert "web: service.failed" in text
        (p.folder / "ok").touch()
        assert p.client.command("start", "web").ok
        wait_for(lambda: len(web.posted) == 4 and len(mail.mails) == 2, what="the end of it")
        assert web.posted[-1][1]["status"] == "resolved"
        assert "resolved after" in mail.mails[1][1]
        assert not any("noise" in str(body) for _, body in web.posted)


def test_trouble_while_the_plugin_was_down_is_told_afterwards(project: New) -> None:
    with served(WebServer()) as web:
        p = project(f"""
            [plugin.alerts]
            use = "alerts"
            options.to.chat.url = "{web.url}"
            [service.web]
            command = "sh -c 'exit 3'"
            autostart = false
            restart = {{ policy = "never" }}
        """).up()
        p.until("alerts", "running")
        assert p.client.command("stop", "alerts").ok
        assert not p.client.command("start", "web").ok
        assert web.posted == []
        assert p.client.command("start", "alerts").ok
        wait_for(lambda: web.posted, what="what happened meanwhile")
        assert web.posted[0][1]["event"]["kind"] == "service.failed"


def test_a_notice_that_is_refused_for_good_is_said_without_the_address(project: New) -> None:
    with served(WebServer()) as web:
        web.statuses = [404]
        p = project(f"""
            [plugin.alerts]
            use = "alerts"
            options.to.chat.url = "{web.url}/hook/secret"
            [service.web]
            command = "sh -c 'exit 3'"
            autostart = false
            restart = {{ policy = "never" }}
        """).up()
        p.until("alerts", "running")
        p.client.command("start", "web")
        wait_for(lambda: said(p, "alerts"), what="the complaint")
        host = web.url.removeprefix("http://")
        assert said(p, "alerts") == [f"a notice to chat was not delivered: {host} answered 404"]
        assert len(web.posted) == 1
