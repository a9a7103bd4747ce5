"""What 100 servers × 100 processes at 1 Hz cost a browser's main thread.

    python bench/dash/compare_page.py

Budget: at most 50 ms of every second, no task longer than 100 ms, with the table of 10,000
processes sorted by CPU in sight (CPU time by Debian's chromium's own counters; tasks on the wall).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from chapiteau.dash.project import read_project
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.dash.web.server import Server
from chapiteau.io.clock import SystemClock

NODES, SERVICES, PROCESSES, SECONDS = 100, 10, 10, 10
VIEWS = (
    ("processes", "/?view=processes&sort=-cpu"),
    ("processes by service", "/?view=processes&sort=-cpu&group=service"),
    ("servers", "/?view=servers"),
    ("table of servers", "/?view=table&sort=-cpu"),
)
BUDGET_MS, LONGEST_MS = 50.0, 100.0
CLOCK = SystemClock()
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
WATCH = """() => { window.long = [];
  new PerformanceObserver(l => l.getEntries().forEach(e => window.long.push(e.duration)))
    .observe({type: 'longtask'}); }"""


def node(number: int) -> MemoryNode:
    """A server with a hundred processes."""
    found = MemoryNode(name=f"srv-{number:03}", clock=CLOCK)
    found.services = [
        service(f"svc-{s}", [process(p, 1000 * s + p) for p in range(1, PROCESSES + 1)])
        for s in range(SERVICES)
    ]
    return found


async def figures(page: Page) -> dict[str, float]:
    """Main thread and heap over some seconds."""
    session = await page.context.new_cdp_session(page)
    # CPU time of the main thread, not time on the wall: others may use the machine, too.
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def now() -> dict[str, float]:
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        return {m["name"]: m["value"] for m in metrics}

    await page.evaluate(WATCH)
    before = await now()
    await asyncio.sleep(SECONDS)
    after = await now()
    long: list[float] = await page.evaluate("window.long")
    return {
        "ms": 1000 * (after["TaskDuration"] - before["TaskDuration"]) / SECONDS,
        "longest": max(long, default=0.0),
        "long": len(long),
        "heap": after["JSHeapUsedSize"] / 2**20,
    }


async def measure(path: str) -> dict[str, Any]:
    """One page over the whole fleet."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "chapiteau.toml").write_text("[project]\nname = 'bench'\n")
        project = read_project(Path(scratch))
        first = node(0)
        server = Server(project, host="127.0.0.1", port=0, exact_port=True, clock=CLOCK, node=first)
        async with server.running(), async_playwright() as playwright:
            assert server.hub is not None
            for number in range(1, NODES):
                server.hub.fleet.add(node(number))
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=list(QUIET)
            )
            page = await browser.new_page(viewport={"width": 1400, "height": 900})
            base, _, token = server.url.partition("#")
            await page.goto(f"{base.rstrip('/')}{path}#{token}")
            await page.get_by_text(f"{NODES}/{NODES} servers").wait_for()
            await asyncio.sleep(3)
            found = await figures(page)
            await browser.close()
            return found


def main() -> int:
    """Measure each view; 8 when a budget is missed."""
    good = True
    print("| view of 10,000 processes | main thread ms/s | long tasks | longest ms | heap MB |")
    print("|---|--:|--:|--:|--:|", flush=True)
    for name, path in VIEWS:
        found = asyncio.run(measure(path))
        print(
            f"| {name} | {found['ms']:.1f} | {found['long']}"
            f" | {found['longest']:.0f} | {found['heap']:.1f} |",
            flush=True,
        )
        good = good and found["ms"] <= BUDGET_MS and found["longest"] <= LONGEST_MS
    said = "kept" if good else "missed"
    print(f"\nBudgets: {BUDGET_MS:.0f} ms/s, no task above {LONGEST_MS:.0f} ms: {said}.")
    return 0 if good else 8


if __name__ == "__main__":
    sys.exit(main())
