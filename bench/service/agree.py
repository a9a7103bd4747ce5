"""Does the document say what the service does? Schemathesis, all phases, on five applications.

    python bench/service/agree.py [--max-examples 60] [--only NAME]

Serves each application with our own worker and asks it what its document allows, and what not.
Atlas gets a database of its own for it, filled anew. Ends with 1 when anything disagrees, with 2
when an application does not start. Needs the packages of the tests; minutes, not seconds.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ROOT / "tests" / "service" / "whole"
# name → application, folder, query of the document, configuration of schemathesis
APPS = {
    "everything": ("tests.service.whole.everything:make", ROOT, "", WHOLE),
    "by header": ("tests.service.whole.everything:make_versioned", ROOT, "?version=2", WHOLE),
    "by path": ("tests.service.whole.everything:by_path", ROOT, "?version=2", WHOLE),
    "by media": ("tests.service.whole.everything:by_media", ROOT, "?version=1", WHOLE),
    "colander": ("tests.cornice.colandered:make", ROOT, "", WHOLE),
    "atlas": ("atlas.app:make", ROOT / "examples" / "atlas", "", ROOT / "examples" / "atlas"),
}


def agree(name: str, examples: int) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        database = Path(scratch) / "atlas.sqlite3"
        if name == "atlas":
            fill = [sys.executable, "-m", "atlas.fill", str(database)]
            subprocess.run(fill, cwd=APPS[name][1], check=True, stdout=subprocess.DEVNULL)
        return _agree(name, examples, {"ATLAS_DATABASE": str(database)})


def _agree(name: str, examples: int, environ: dict[str, str]) -> bool:
    app, folder, query, configured = APPS[name]
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "chapiteau", "service", "serve", app,
         "--bind", "127.0.0.1:0", "--linger", "0"],
        cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ},
    )  # fmt: skip
    try:
        said = worker.stderr.readline()
        if not said.startswith("serving "):
            worker.wait(20)
            print(f"{name} does not start:\n{said}{worker.stderr.read()}", file=sys.stderr)
            sys.exit(2)
        base = said.split()[-1]
        started = time.monotonic()
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")),
             "--config-file", str(configured / "schemathesis.toml"),
             "run", f"{base}/openapi.json{query}", "--url", base,
             "--max-examples", str(examples), "--no-color", "--generation-deterministic"],
            cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.whole.hooks",
                 "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        worker.terminate()
        worker.wait(20)
    told = re.search(r"Test cases:\n\s+(.*)", done.stdout)
    took = time.monotonic() - started
    verdict = "agree" if done.returncode == 0 else "DISAGREE"
    print(f"{name:12} {verdict:9} {told[1] if told else '?':50} {took:5.0f} s", flush=True)
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-1000:])
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-examples", type=int, default=60)
    parser.add_argument("--only", choices=APPS)
    given = parser.parse_args()
    names = [given.only] if given.only else list(APPS)
    verdicts = [agree(name, given.max_examples) for name in names]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
