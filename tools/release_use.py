"""Use an installed Chapiteau as the README's taste does; run by the Python it is installed for.

    PYTHON -I tools/release_use.py [--compiled yes|no]

It makes an empty home, writes the README's service and settings there and goes: check, up, a
request, the dashboard's page, a load test from the OpenAPI document, reload, down. The first thing
that is not as promised ends it with status 1. PATH holds neither a compiler nor Node.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.md"
TOOLS = ("sh", "env", "uname")  # of the machine, and no others


class Home:
    """An empty folder, and the commands that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir()
        for name in TOOLS:
            if found := shutil.which(name):
                (tools / name).symlink_to(found)
        scripts = Path(sys.executable).parent
        self.env = {"HOME": str(folder), "PATH": f"{scripts}:{tools}", "LANG": "C.UTF-8"}

    def run(self, *words: str, expect: tuple[int, ...] = (0,)) -> str:
        """What `chapiteau WORDS` prints. SystemExit for another status than those expected."""
        command = [str(Path(sys.executable).with_name("chapiteau")), *words]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode not in expect:
            text = f"{done.stdout}\n{done.stderr}".strip()
            raise SystemExit(f"chapiteau {' '.join(words)}: status {done.returncode}\n{text}")
        return done.stdout


def block(language: str) -> str:
    """The README's first block of this language. SystemExit when there is none."""
    found = re.search(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"{README}: no block of {language}")
    return found[1]


def answer(url: str, body: Any = None) -> bytes:
    """What a GET is answered with, or a PUT of `body` as JSON. Raises HTTPError from status 400."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as got:
        content: bytes = got.read()
    return content


def use(home: Home) -> None:
    """Do what the README shows."""
    (home.folder / "shop.py").write_text(block("python"))
    settings = block("toml").replace("port = 8000", "port = 0")
    (home.folder / "chapiteau.toml").write_text(settings)
    home.run("check")
    home.run("up", "-d")
    try:
        status = json.loads(home.run("status", "--json"))
        web = next(s["address"] for s in status["sockets"] if s["name"] == "web")
        tent = {"name": "tent", "price": 3}
        if json.loads(answer(f"http://{web}/items/7", tent)) != tent:
            raise SystemExit("PUT /items/7 answered something else")
        if not json.loads(answer(f"http://{web}/openapi.json"))["openapi"].startswith("3.1"):
            raise SystemExit("/openapi.json is not OpenAPI 3.1")
        page = answer(status["dashboard"]).decode()
        if "<script" not in page:
            raise SystemExit("the dashboard's page has no script")
        load = ("load", "run", f"http://{web}/openapi.json", "--rate", "20", "--duration", "2s")
        home.run(*load, "--quiet")
        home.run("reload", "web")
    finally:
        home.run("down")


def compiled() -> bool:
    """Whether the compiled parts are installed, and load."""
    try:
        from chapiteau.load.engine import _fastpath
        from chapiteau.run.keeper import _birth
    except ImportError:
        return False
    return bool(_fastpath and _birth)


def main() -> None:
    """Try it; say what was tried."""
    parser = argparse.ArgumentParser(description="Use an installed Chapiteau as the README does.")
    parser.add_argument("--compiled", choices=["yes", "no"], help="what the wheel should contain")
    wanted = parser.parse_args().compiled
    if wanted and compiled() != (wanted == "yes"):
        raise SystemExit(f"compiled parts: wanted {wanted}, found the opposite")
    with tempfile.TemporaryDirectory() as folder:
        use(Home(Path(folder)))
    kind = "compiled" if compiled() else "plain"
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"up, request, page, load test, reload and down work on Python {version} ({kind})")


if __name__ == "__main__":
    os.umask(0o077)
    main()
