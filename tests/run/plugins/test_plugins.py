"""Plugins as processes: what they hear and may do, and that nothing they do harms the brain."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

    New = Callable[[str], Project]

pytestmark = pytest.mark.slow

GREETER = """
    from dataclasses import dataclass
    from chapiteau.core.fields import setting
    from chapiteau.run.client import Plugin

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        word: str = setting("hello", help="What it says.")

    class Greeter(Plugin):
        Options = Settings

        async def on_event(self, event):
            if event.kind == "service.ready" and event.service != self.name:
                await self.say(f"{self.options.word}, {event.service}", service=event.service)

    class Broken(Plugin):
        async def started(self):
            raise RuntimeError("no such luck")

    class Stubborn(Plugin):
        async def stopped(self):
            import time
            while True:
                time.sleep(1)

        async def on_event(self, event):
            while True:
                pass
"""
WEB = """
[service.web]
command = "sleep 60"
ready.alive = "20ms"
"""


def messages(p: Project) -> list[str]:
    return [e.text for e in p.events("plugin.message")]


def test_a_plugin_of_the_project_hears_events_and_speaks(project: New) -> None:
    p = project("""
        [plugin.greeter]
        use = "greeter:Greeter"
        options.word = "welcome"
        [service.web]
        command = "sleep 60"
        ready.alive = "20ms"
        autostart = false
    """)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("greeter", "running")
    assert p.client.command("start", "web").ok
    wait_for(lambda: "welcome, web" in messages(p), what="the greeting")
    said = p.events("plugin.message")[-1]
    assert (said.service, said.data["plugin"]) == ("web", "greeter")
    assert said.who == f"uid {os.getuid()} (plugin greeter)"
    assert p.service("greeter").labels == {"plugin": "greeter:Greeter"}


def test_a_plugin_hears_what_happened_while_it_was_being_loaded(project: New) -> None:
    p = project("[plugin.greeter]\nuse = 'greeter:Greeter'\n" + WEB)
    p.file("greeter.py", GREETER)
    p.up()
    wait_for(lambda: "hello, web" in messages(p), what="a greeting for who was there before it")


def test_a_plugin_goes_on_hearing_when_the_brain_is_killed(project: New) -> None:
    p = project("[plugin.greeter]\nuse = 'greeter:Greeter'\n" + WEB)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("greeter", "running")
    pid = p.pids("greeter")
    p.kill_brain()
    before = messages(p).count("hello, web")
    p.when(lambda: p.client.command("restart", "web").ok)
    wait_for(lambda: messages(p).count("hello, web") > before, what="a greeting after the kill")
    assert p.pids("greeter") == pid


def test_a_plugin_that_fails_is_tried_again_and_status_says_why(project: New) -> None:
    p = project("[plugin.broken]\nuse = 'greeter:Broken'\n" + WEB)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("web", "running")
    wait_for(lambda: p.service("broken").restarts >= 1, what="a second try")
    lines = p.service("broken").processes[0].last_exit["lines"]
    assert "RuntimeError: no such luck" in "\n".join(lines)
    assert p.service("web").restarts == 0


def test_a_plugin_that_hangs_holds_neither_the_brain_nor_a_shutdown(project: New) -> None:
    p = project("[plugin.stubborn]\nuse = 'greeter:Stubborn'\n" + WEB)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("stubborn", "running")
    for _ in range(5):
        assert p.client.command("restart", "web").ok
    assert p.service("web").state == "running"
    os.kill(p.pids("stubborn")[0], signal.SIGKILL)


def test_all_means_the_services_and_not_the_plugins(project: New) -> None:
    p = project("[plugin.greeter]\nuse = 'greeter:Greeter'\n" + WEB)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("greeter", "running")
    assert p.client.command("stop", "all").ok
    assert p.service("web").state == "stopped"
    assert p.service("greeter").state == "running"
    assert p.client.command("stop", "greeter").ok
    assert p.service("greeter").state == "stopped"


def test_a_changed_configuration_adds_changes_and_removes_plugins(project: New) -> None:
    p = project(WEB)
    p.file("greeter.py", GREETER)
    p.up()
    p.until("web", "running")
    p.write("[plugin.g]\nuse = 'greeter:Greeter'\n" + WEB)
    assert p.client.apply().ok
    first = p.pids("g") or wait_for(lambda: p.pids("g"))
    p.until("g", "running")
    p.write("[plugin.g]\nuse = 'greeter:Greeter'\noptions.word = 'hi'\n" + WEB)
    assert p.client.apply().ok
    p.until("g", "running")
    assert p.pids("g") != first
    p.client.command("restart", "web")
    wait_for(lambda: "hi, web" in messages(p), what="the new word")
    p.write(WEB)
    assert p.client.apply().ok
    assert [s.name for s in p.status().services] == ["web"]
    assert p.service("web").restarts == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("use = 'resorces'", "did you mean 'resources'?"),
        ("use = 'resources'\noptions.windw = '3s'", "did you mean 'window'?"),
        ("use = 'greeter:Greeter'\noptions.wort = 'x'", "did you mean 'word'?"),
        ("use = 'greeter:Greter'", "did you mean 'Greeter'?"),
        ("use = 'greeter:Settings'", "is no subclass of Plugin"),
        ("use = 'gretter:Greeter'", "there is no module 'gretter'"),
        ("use = 'http'", "url: must be given"),
    ],
)
def test_check_finds_what_is_wrong_with_a_plugin(project: New, text: str, says: str) -> None:
    p = project(f"[plugin.g]\n{text}\n[service.web]\ncommand = 'sleep 1'\n")
    p.file("greeter.py", GREETER)
    done = run_cli("check", cwd=p.folder)
    assert done.returncode == 8
    assert says in done.stderr


def test_check_is_content_with_a_right_plugin(project: New) -> None:
    p = project("[plugin.g]\nuse = 'greeter:Greeter'\noptions.word = 'x'\n[service.w]\ncommand='x'")
    p.file("greeter.py", GREETER)
    done = run_cli("check", cwd=p.folder)
    assert done.returncode == 0, done.stderr


def test_the_guide_tells_how_to_write_one_in_twenty_lines(project: New) -> None:
    page = (ROOT / "docs/how-to/plugins.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    toml = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 21
    p = project(toml)
    (p.folder / "announce.py").write_text(code)
    assert run_cli("check", cwd=p.folder).returncode == 0
    p.up()
    p.until("announcer", "running")
    wait_for(
        lambda: [text for text in messages(p) if re.fullmatch(r"web took \d+\.\d\d s", text)],
        what="the announcement",
    )
