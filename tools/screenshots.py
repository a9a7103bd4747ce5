"""Pictures of the dashboard for the docs, light and dark, from the real page over examples/atlas.

    python tools/screenshots.py [FOLDER]

Starts the example with its supervisor, the dashboard and a load test in a temporary folder, kills
a worker so that there is something to see, and takes everything down again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
EXTRA = """
[service.mailer]
command = ["${python}", "-c", "import a_mail_library"]
needs = ["load"]
"""
# name, path, width, height
SHOTS = (
    ("fleet", "/?hide=reason", 1280, 640),
    ("service", "/service/web?range=60", 1280, 900),
    ("processes", "/?view=processes&group=service", 1280, 720),
    ("load", "/load", 1280, 900),
    ("apis", "/apis", 1280, 760),
    ("events", "/events", 1280, 560),
    ("phone", "/", 360, 740),
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
LOAD_SECONDS = 300


def chapiteau(folder: Path, *words: str) -> str:
    """The command line, as a user types it."""
    command = [sys.executable, "-m", "chapiteau", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def running(*words: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs while inside."""
    with (folder / "tool.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", *words], cwd=folder, stdout=log, stderr=log
        )
        try:
            yield child
            if child.poll() is not None:
                raise SystemExit(f"{words} ended early:\n{(folder / 'tool.log').read_text()}")
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(30)


def status(folder: Path) -> dict[str, Any]:
    """`chapiteau status --json`."""
    found: dict[str, Any] = json.loads(chapiteau(folder, "status", "--json"))
    return found


def kill_a_worker(folder: Path) -> None:
    """Something to see in the charts and the timeline."""
    web = next(s for s in status(folder)["services"] if s["name"] == "web")
    os.kill(web["processes"][1]["pid"], signal.SIGKILL)


def take(browser: Browser, url: str, target: Path) -> None:
    """Every picture."""
    page = browser.new_context(device_scale_factor=1).new_page()
    page.goto(url)
    page.get_by_role("navigation", name="Pages").wait_for()
    base = url.partition("/#")[0]
    for name, path, width, height in SHOTS:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(base + path)
        page.get_by_text("● live").wait_for()
        page.wait_for_timeout(2500)  # a few seconds of live numbers belong in the picture
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(1200)  # charts repaint with the next number
            page.screenshot(path=target / f"{name}-{scheme}.png")
            print(target / f"{name}-{scheme}.png")


def main(target: Path) -> None:
    """Set the stage, take the pictures, clean up."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "atlas"
        shutil.copytree(ROOT / "examples" / "atlas", folder, ignore=lambda *_: [".chapiteau"])
        config = folder / "chapiteau.toml"
        config.write_text(config.read_text().replace("port = 8087", "port = 0") + EXTRA)
        chapiteau(folder, "up", "-d", "--no-wait")
        try:
            address = wait_until_up(folder)
            stage(folder, f"http://{address}", target)
        finally:
            chapiteau(folder, "down")


def wait_until_up(folder: Path) -> str:
    """The address of the web service, once it is ready."""
    for _ in range(120):
        found = status(folder)
        if any(s["name"] == "web" and s["state"] == "running" for s in found["services"]):
            return str(found["sockets"][0]["address"])
        time.sleep(0.5)  # noqa: TID251 — a tool may wait
    raise SystemExit("atlas did not get ready")


def stage(folder: Path, base: str, target: Path) -> None:
    """Two load tests, one of them running; a worker dies; pictures."""
    document = ["--openapi", f"{base}/openapi.json", "--objective", "p99 < 200ms, errors < 1%"]
    subprocess.run(
        [sys.executable, "-m", "chapiteau", "load", "run", *document, "-r", "60/s", "-d", "20s"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    live = ("load", "run", *document, "-r", "80/s", "-d", f"{LOAD_SECONDS}s")
    with running(*live, folder=folder), sync_playwright() as playwright:
        time.sleep(25)  # noqa: TID251 — charts need some history
        kill_a_worker(folder)
        chapiteau(folder, "load", "mark", "a worker is killed")
        chapiteau(folder, "load", "add", "--rate", "20/s")
        url = chapiteau(folder, "dash", "url").strip()
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(QUIET))
        take(browser, url, target)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
