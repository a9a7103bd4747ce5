"""Shows the whole idea on real data, by itself, in under three minutes.

python tools/demo.py            and then runs on until Ctrl-C
python tools/demo.py once       and then stops everything; exit code 1 when anything failed
python tools/demo.py once DIR   on another copy of examples/atlas
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from leftovers import Leftovers
from stage import CLOCK, DemoError, Stage, paint, say, step
from witness import Curl, Strict, Wrk, have

ROOT: Final = Path(__file__).resolve().parent.parent
CITY: Final = "/cities/2657896"  # Zürich
KEPT: Final = 8  # connections of each witness that is not ours
BUDGET: Final = os.environ.get("DEMO_BUDGET", "70s")
OBJECTIVE: Final = "p99 < 200ms, errors < 1%"


class Demo:
    """The steps, in order; `failed` collects what went wrong on the way."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self.failed: list[str] = []
        self.report = ""
        self._started = CLOCK.now()

    def play(self) -> None:
        """All of it."""
        self._up()
        self._capacity()
        self._faults()
        self._reload()
        self._verdict()

    def _up(self) -> None:
        step(1, "A service with real data: the world's cities")
        say("A one-shot loads the data set into SQLite. Then four web processes share one socket,")
        say("which belongs to the keeper, not to any of them.")
        stage = self.stage
        stage.run("up", "-d", "--timeout", "90s")
        stage.run("status")
        stage.find_address("web")
        found = json.dumps(
            stage.get("/cities?country=CH&min_population=100000"), ensure_ascii=False
        )
        say(f"\n  the service     {stage.url('/cities')}")
        say(f"  its API         {stage.url('/openapi.json')}")
        say(f"  the dashboard   {stage.status()['dashboard'] or '(not enabled)'}")
        say(f"  a first answer  {found[:100]}…")

    def _capacity(self) -> None:
        step(2, "How much does it carry within its objective?")
        say("A search without a script: rates rise until answers get late; the highest rate that")
        say("keeps the objective is confirmed. Latency counts from the moment a request was due.")
        report = self.stage.folder / ".chapiteau" / "demo.html"
        self.stage.run(
            *("load", "capacity", self.stage.url("/openapi.json"), "--objective", OBJECTIVE),
            *("--budget", BUDGET, "--confidence", "low", "--report", str(report)),
            allowed=(0, 8, 9, 10),  # any verdict: a busy laptop carries little, or unsurely
        )
        self.report = str(report) if report.is_file() else ""

    def _faults(self) -> None:
        step(3, "SIGKILL under load: the brain, a worker, both at once")
        wrk = Wrk(self.stage.url(CITY), 6, KEPT) if have("wrk") else None
        strict = self._strict(wrk, "wrk")
        CLOCK.sleep(1.0)
        self._kill_brain()
        self._count(wrk, strict)
        say("what a killed process was answering, a client may ask again; curl does, wrk does not")
        curl = Curl(self.stage.url(CITY), KEPT) if have("curl") else None
        strict = self._strict(curl, "curl")
        CLOCK.sleep(1.0)
        self._kill_worker()
        CLOCK.sleep(1.5)
        self._kill_worker(also_brain=True)
        CLOCK.sleep(1.5)
        self._count(curl, strict)

    def _reload(self) -> None:
        step(4, "Reload under load: every process is replaced, one at a time")
        before = self.stage.web_pids()
        wrk = Wrk(self.stage.url(CITY), 8, KEPT) if have("wrk") else None
        strict = self._strict(wrk, "wrk")
        CLOCK.sleep(1.0)
        self.stage.run("reload", "web")
        if before & self.stage.web_pids():
            self.failed.append("reload kept an old process")
        self._count(wrk, strict)

    def _strict(self, other: Wrk | Curl | None, name: str) -> Strict:
        """Our own witness, beside the other one."""
        say(f"load from {name + ' and ' if other else ''}a strict client")
        return Strict(self.stage.host, self.stage.port, CITY)

    def _count(self, *witnesses: Wrk | Curl | Strict | None) -> None:
        """What each witness saw; failures are failures of the demo."""
        for seen in [witness.stop() for witness in witnesses if witness]:
            say(f"  {seen.name:<14}" + paint("31" if seen.failed else "32", str(seen)))
            if seen.failed:
                self.failed.append(f"{seen.name} saw {seen.failed} requests fail")

    def _kill_worker(self, *, also_brain: bool = False) -> None:
        """SIGKILL one of the web processes, and wait for its replacement."""
        stage = self.stage
        victim = stage.web()["processes"][0]["pid"]
        if also_brain:
            brain = stage.status()["pid"]
            os.kill(brain, signal.SIGKILL)
        os.kill(victim, signal.SIGKILL)
        took = stage.until(lambda: stage.replaced(victim), 20, "the worker was replaced")
        whom = f"{victim} {brain}  (both)" if also_brain else f"{victim}  (a worker)"
        say(f"  kill -9 {whom:<24} its successor is ready after {took:.1f} s")

    def _kill_brain(self) -> None:
        """SIGKILL the supervisor's deciding half."""
        stage = self.stage
        before, workers = stage.status()["pid"], stage.web_pids()
        os.kill(before, signal.SIGKILL)
        took = stage.until(lambda: stage.status()["pid"] != before, 20, "a new brain answers")
        kept = workers == stage.web_pids()
        noticed = "its four workers never noticed" if kept else "its workers CHANGED"
        say(
            f"  kill -9 {f'{before}  (the brain)':<24} a new one answers after {took:.1f} s; "
            + noticed
        )
        if not kept:
            self.failed.append("killing the brain touched the workers")

    def _verdict(self) -> None:
        step(5, "Verdict")
        for problem in self.failed:
            say(paint("31", f"  failed: {problem}"))
        if not self.failed:
            say(paint("32", "  everything held: no request was lost"))
        say(f"  load report     {self.report or '(none)'}")
        say(f"  the service     {self.stage.url('/cities')}")
        say(f"  the dashboard   {self.stage.status()['dashboard'] or '(not enabled)'}")
        say(f"  this took       {CLOCK.now() - self._started:.0f} s")


def on_a_free_port(folder: Path) -> Path:
    """The folder itself, or a copy that takes any free port when somebody holds the file's one."""
    config = (folder / "chapiteau.toml").read_text()
    port = tomllib.loads(config)["socket"]["web"]["port"]
    with socket.socket() as probe:
        taken = port and probe.connect_ex(("127.0.0.1", port)) == 0
    if not taken:
        return folder
    say(f"port {port} is taken: the demo plays on a copy of {folder.name}, on a free port")
    copy = ROOT / "reports" / "demo" / folder.name
    skip = shutil.ignore_patterns(".chapiteau", "data", "__pycache__")
    shutil.copytree(folder, copy, ignore=skip, dirs_exist_ok=True)
    (copy / "chapiteau.toml").write_text(config.replace(f"port = {port}\n", "port = 0\n"))
    return copy


def main(mode: str = "stay", folder: str = "") -> int:
    """The demo; 1 when something failed or something was left behind."""
    for sign in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(sign, signal.default_int_handler)
    demo = Demo(on_a_free_port(Path(folder or ROOT / "examples" / "atlas").resolve()))
    leftovers = Leftovers(demo.stage.folder)
    try:
        demo.play()
        if mode == "stay":
            say(paint("1", "\nIt runs on: look at the page. Ctrl-C stops everything."))
            signal.pause()
    except KeyboardInterrupt:
        say("")
    except (DemoError, subprocess.SubprocessError, OSError) as exc:
        demo.failed.append(str(exc))
        say(paint("31", f"\nerror: {exc}"))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave things behind
        try:
            demo.stage.run("down", "--timeout", "30s")
        except DemoError as exc:
            demo.failed.append(str(exc))
    left = leftovers.left(demo.stage.port)
    say(paint("31", "left behind: " + "; ".join(left)) if left else "nothing is left behind.")
    return 1 if demo.failed or left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
