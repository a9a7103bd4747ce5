"""The example's own tests, its real data, its document against its behaviour, its load file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.service.testing import Client
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

ATLAS = ROOT / "examples" / "atlas"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled as `chapiteau up` fills it."""
    path = tmp_path_factory.mktemp("atlas") / "data" / "atlas.sqlite3"
    words = [sys.executable, "-m", "atlas.fill", str(path)]
    first = subprocess.run(words, cwd=ATLAS, capture_output=True, text=True, check=True)
    assert "done" in first.stdout
    again = subprocess.run(words, cwd=ATLAS, capture_output=True, text=True, check=True)
    assert "filled already" in again.stdout
    return path


@pytest.fixture
def app(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ATLAS))
    from atlas.app import make

    made = make(str(database))
    yield made
    made.registry["store"].close()


def test_its_own_tests_pass() -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(ATLAS)]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "PYTEST_"))}
    done = subprocess.run(
        [*words, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ATLAS)],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_real_data(app: Any) -> None:
    client = Client(app)
    paris = client.get("/cities?q=paris&country=FR&limit=1").json()
    assert paris[0]["name"] == "Paris"
    near = client.get("/cities/nearest?lat=48.85&lon=2.35&min_population=1000000&limit=1").json()
    assert near[0]["id"] == paris[0]["id"]


def test_lists_are_answered_by_indexes(app: Any) -> None:
    from atlas.search import Wanted, find

    plans: list[str] = []
    db = app.registry["store"].db

    class Spy:
        def execute(self, sql: str, values: Any) -> Any:
            plans.extend(r[3] for r in db.execute("EXPLAIN QUERY PLAN " + sql, values))
            return db.execute(sql, values)

    base = {"country": None, "min_population": 0, "q": None, "sort": "-population", "limit": 5}
    for change in ({}, {"country": "FR"}, {"sort": "name"}, {"min_population": 10**6}):
        find(Spy(), Wanted(**{**base, **change}), None)  # type: ignore[arg-type]
    assert plans
    assert not [step for step in plans if step == "SCAN city" or "TEMP B-TREE" in step], plans


def test_its_document_is_valid(app: Any) -> None:
    from openapi_spec_validator import validate

    validate(Client(app).get("/openapi.json").json())


@pytest.fixture
def live(database: Path) -> Iterator[str]:
    """Atlas behind its own worker; gives the address."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "service", "serve", "atlas.app:make",
         "--bind", "127.0.0.1:0", "--linger", "0"],
        cwd=ATLAS, env={**os.environ, "ATLAS_DATABASE": str(database)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stderr is not None
    told = worker.stderr.readline()
    try:
        yield told.split()[-1]
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
        worker.stderr.close()


def test_document_and_service_agree(live: str) -> None:
    """Schemathesis makes requests of its own from the document; nothing may surprise it."""
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [str(program), "run", f"{live}/openapi.json", "--max-examples", "12", "--no-color",
         "--generation-deterministic"],
        cwd=ATLAS, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "10/10" in done.stdout


def test_the_load_file_is_read() -> None:
    from chapiteau.load.scenario.suite import collect_suite

    names: dict[str, Any] = {"__name__": "load"}
    exec(compile((ATLAS / "load.py").read_text(), "load.py", "exec"), names)
    play = collect_suite(names, "load.py")
    assert [s.name for s in play.scenarios] == ["browse", "search", "write"]
