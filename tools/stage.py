"""The stage of the demo: a supervised project, driven by its command line, and narration."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from chapiteau.io.clock import SystemClock
from chapiteau.io.console import use_colour

__all__ = ["CLOCK", "DemoError", "Stage", "paint", "say", "step"]

CHAPITEAU: Final = [sys.executable, "-m", "chapiteau"]
CLOCK: Final = SystemClock()
COLOUR: Final = use_colour()


class DemoError(Exception):
    """A step of the demo did not do what it shows."""


def paint(code: str, text: str) -> str:
    """Coloured, where colour is wanted."""
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def step(number: int, title: str) -> None:
    """The head of a part."""
    print("\n" + paint("1;36", f"── {number}. {title} ".ljust(88, "─")), flush=True)


def say(text: str) -> None:
    """One line of narration."""
    print(text, flush=True)


class Stage:
    """The project in a folder, as a user drives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host, self.port = "127.0.0.1", 0

    def run(self, *args: str, show: bool = True, allowed: tuple[int, ...] = (0,)) -> str:
        """`chapiteau ARGS` in the project's folder; its output is shown, and given back."""
        say(paint("1", f"$ chapiteau {shlex.join(args)}"))
        lines = []
        with subprocess.Popen(
            [*CHAPITEAU, *args], cwd=self.folder, stdout=subprocess.PIPE, text=True
        ) as running:
            for line in running.stdout or ():
                lines.append(line)
                if show:
                    print("  " + line, end="", flush=True)
        if running.returncode not in allowed:
            raise DemoError(f"`chapiteau {args[0]} …` ended with {running.returncode}")
        return "".join(lines)

    def status(self) -> dict[str, Any]:
        """What `chapiteau status --json` says."""
        done = subprocess.run(
            [*CHAPITEAU, "status", "--json"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return dict(json.loads(done.stdout))

    def find_address(self, socket: str) -> None:
        """Where the service answers, from now on."""
        found = next(s["address"] for s in self.status()["sockets"] if s["name"] == socket)
        self.host, _, port = found.rpartition(":")
        self.port = int(port)

    def web(self) -> dict[str, Any]:
        """The web service as `status` tells it."""
        return next(s for s in self.status()["services"] if s["name"] == "web")

    def web_pids(self) -> set[int]:
        """The processes of the web service."""
        return {process["pid"] for process in self.web()["processes"]}

    def replaced(self, victim: int) -> bool:
        """All copies are ready again, and none of them is the old one."""
        web = self.web()
        return web["ready"] == web["wanted"] and victim not in self.web_pids()

    def until(self, fact: Callable[[], object], seconds: float, what: str) -> float:
        """Wait until it is so; gives the seconds that took."""
        start = CLOCK.now()
        while CLOCK.now() - start < seconds:
            try:
                if fact():
                    return CLOCK.now() - start
            except (OSError, ValueError, subprocess.SubprocessError):
                pass  # nobody answers yet: ask again
            CLOCK.sleep(0.02)
        raise DemoError(f"not so after {seconds:g} s: {what}")

    def get(self, path: str) -> Any:
        """One answer of the service."""
        with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def url(self, path: str = "") -> str:
        """Where the service is."""
        return f"http://{self.host}:{self.port}{path}"
