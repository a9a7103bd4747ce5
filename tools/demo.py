"""Shows the whole idea on real data, by itself, in under three minutes.

python tools/demo.py            and then runs on until Ctrl-C
python tools/demo.py once       and then stops everything; exit code 1 when anything failed
python tools/demo.py once DIR   on another copy of examples/atlas
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from leftovers import Leftovers
from witness import Count, Outside, Strict, have

from chapiteau.plumbing.clock import SystemClock
from chapiteau.plumbing.console import colour_wanted

ROOT: Final = Path(__file__).resolve().parent.parent
CHAPITEAU: Final = [sys.executable, "-m", "chapiteau"]
CLOCK: Final = SystemClock()
COLOUR: Final = colour_wanted()


class DemoError(Exception):
    """A step of the demo did not do what it shows."""


# ── saying what happens ──────────────────────────────────────────────────────────────────────
def paint(code: str, text: str) -> str:
    """Coloured, where colour is wanted."""
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def step(number: int, title: str) -> None:
    """The head of a part."""
    print("\n" + paint("1;36", f"── {number}. {title} ".ljust(88, "─")), flush=True)


def say(text: str) -> None:
    """One line of narration."""
    print(text, flush=True)


class Demo:
    """The steps, in order; `failed` collects what went wrong on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failed: list[str] = []
        self.started = CLOCK.now()
        self.host, self.port = "127.0.0.1", 0
        self.report = ""

    # ── small deeds ──────────────────────────────────────────────────────────────────────────
    def run(self, *args: str, show: bool = True, allowed: tuple[int, ...] = (0,)) -> str:
        """`chapiteau ARGS` in the project's folder; its output is shown, and given back."""
        say(paint("1", f"$ chapiteau {' '.join(args)}"))
        lines = []
        with subprocess.Popen(
            [*CHAPITEAU, *args], cwd=self.folder, stdout=subprocess.PIPE, text=True
        ) as running:
            for line in running.stdout or ():
                lines.append(line)
                if show:
                    print("  " + line, end="", flush=True)
        if running.returncode not in allowed:
            raise DemoError(f"`chapiteau {' '.join(args)}` ended with {running.returncode}")
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

    def web(self) -> dict[str, Any]:
        """The web service as `status` tells it."""
        return next(s for s in self.status()["services"] if s["name"] == "web")

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

    # ── the steps ────────────────────────────────────────────────────────────────────────────
    def up(self) -> None:
        """Start it and say where everything is."""
        step(1, "A service with real data: the world's cities")
        say("chapiteau.toml: a one-shot loads the data set into SQLite; then 4 web processes share")
        say("one socket. The socket belongs to the keeper, not to any of them.")
        self.run("up", "-d", "--timeout", "90s")
        self.run("status")
        status = self.status()
        address = next(s["address"] for s in status["sockets"] if s["name"] == "web")
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        found = self.get("/cities?country=CH&min_population=100000")
        say(f"\n  the service     {self.url('/cities')}")
        say(f"  its API         {self.url('/openapi.json')}")
        say(f"  the dashboard   {status['dashboard'] or '(not enabled)'}")
        say(f"  a first answer  {json.dumps(found, ensure_ascii=False)[:110]}…")

    def capacity(self) -> None:
        """How much does it carry?"""
        step(2, "How much does it carry within its objective?")
        say("A search without a script: rates rise until answers get late; the highest rate that")
        say("keeps the objective is confirmed. Latency counts from the moment a request was due.")
        said = self.run(*CAPACITY, self.url("/cities/2657896"), allowed=(0, 1, 2, 3))
        self.report = next(
            (
                w.strip(".,")
                for line in said.splitlines()
                for w in line.split()
                if w.endswith(".html")
            ),
            "",
        )

    def faults(self) -> None:
        """SIGKILL under load, counted by others."""
        step(3, "SIGKILL under load: a worker, the brain, both")
        witnesses = self.witnesses(seconds=12)
        CLOCK.sleep(2.0)
        self.kill_worker()
        CLOCK.sleep(1.5)
        self.kill_brain()
        CLOCK.sleep(1.5)
        say("… and both at once:")
        self.kill_worker(also_brain=True)
        self.count(witnesses, killed=True)

    def reload(self) -> None:
        """Every process replaced under load."""
        step(4, "Reload under load: every process is replaced, one at a time")
        before = {p["pid"] for p in self.web()["processes"]}
        witnesses = self.witnesses(seconds=8)
        CLOCK.sleep(1.0)
        self.run("reload", "web")
        after = {p["pid"] for p in self.web()["processes"]}
        if before & after:
            self.failed.append("reload kept an old process")
        self.count(witnesses)

    def witnesses(self, seconds: int) -> tuple[Strict, list[Outside]]:
        """Start the load and its counting."""
        names = [name for name in ("wrk", "h2load") if have(name)]
        say(f"load from: {', '.join([*names, 'a strict client'])}, for {seconds} s")
        path = "/cities/2657896"
        strict = Strict(self.host, self.port, path)
        return strict, [Outside(name, self.url(path), seconds) for name in names]

    def count(self, witnesses: tuple[Strict, list[Outside]], *, killed: bool = False) -> None:
        """What each witness saw; failures are failures of the demo."""
        strict, others = witnesses
        seen = [*(other.stop() for other in others), strict.stop()]
        for one in seen:
            bad = one.failed > 0
            say(f"  {one.name:<14}" + paint("31" if bad else "32", str(one)))
        self.judge(seen, killed=killed)

    def judge(self, seen: list[Count], *, killed: bool) -> None:
        """Zero failed, by every witness."""
        for one in seen:
            if one.failed and not (killed and one.name != "strict client"):
                self.failed.append(f"{one.name} saw {one.failed} failed requests")

    def kill_worker(self, *, also_brain: bool = False) -> None:
        """SIGKILL one of the web processes, and wait for its replacement."""
        web = self.web()
        victim = web["processes"][0]["pid"]
        if also_brain:
            os.kill(self.status()["pid"], signal.SIGKILL)
        os.kill(victim, signal.SIGKILL)
        took = self.until(lambda: self.replaced(victim), 20, "the worker was replaced")
        say(f"  kill -9 {victim:<8} (web 1)      replaced and ready after {took:.1f} s")

    def replaced(self, victim: int) -> bool:
        """All copies are ready again, and none of them is the old one."""
        web = self.web()
        return web["ready"] == web["wanted"] and victim not in {p["pid"] for p in web["processes"]}

    def kill_brain(self) -> None:
        """SIGKILL the supervisor's deciding half."""
        before = self.status()
        workers = {p["pid"] for p in self.web()["processes"]}
        os.kill(before["pid"], signal.SIGKILL)
        took = self.until(lambda: self.status()["pid"] != before["pid"], 20, "a new brain answers")
        kept = workers == {p["pid"] for p in self.web()["processes"]}
        say(
            f"  kill -9 {before['pid']:<8} (the brain)  a new one answers after {took:.1f} s; "
            f"the 4 workers {'never noticed' if kept else 'CHANGED'}"
        )
        if not kept:
            self.failed.append("killing the brain touched the workers")

    def end(self) -> None:
        """What was shown, and where to look on."""
        took = CLOCK.now() - self.started
        step(5, "Verdict")
        if self.failed:
            for problem in self.failed:
                say(paint("31", f"  failed: {problem}"))
        else:
            say(paint("32", "  everything held: 0 requests lost by a strict client"))
        if self.report:
            say(f"  load report     {self.report}")
        say(f"  the service     {self.url('/cities')}")
        say(f"  the dashboard   {self.status()['dashboard'] or '(not enabled)'}")
        say(f"  this took       {took:.0f} s")

    def down(self) -> list[str]:
        """Stop everything; what is left of it afterwards."""
        self.run("down", "--timeout", "30s")
        return []


CAPACITY: Final = ("load", "capacity")


def main(mode: str = "stay", folder: str = "") -> int:
    """The demo; 1 when something failed or something was left behind."""
    demo = Demo(Path(folder or ROOT / "examples" / "atlas").resolve())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    leftovers = Leftovers(demo.folder)
    code = 0
    try:
        for part in (demo.up, demo.capacity, demo.faults, demo.reload, demo.end):
            part()
        if mode == "stay":
            say(paint("1", "\nIt runs on: look at the page. Ctrl-C stops everything."))
            signal.pause()
    except KeyboardInterrupt:
        say("")
    except (DemoError, subprocess.SubprocessError, OSError) as exc:
        demo.failed.append(str(exc))
        say(paint("31", f"\nerror: {exc}"))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        leftovers.note(demo.port)
        try:
            demo.run("down", "--timeout", "30s")
        except DemoError as exc:
            demo.failed.append(str(exc))
    left = leftovers.left()
    say(paint("31", "left behind: " + "; ".join(left)) if left else "nothing is left behind.")
    return 1 if demo.failed or left else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
