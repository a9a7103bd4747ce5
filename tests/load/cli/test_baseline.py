"""A result that is set as baseline: kept, listed against, and named by a word."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.load import client
from chapiteau.load.cli import group
from chapiteau.load.cli.output import stored_result
from chapiteau.load.errors import NoSuchResultError
from chapiteau.load.execution.storage import save_result
from chapiteau.load.report.stored_results import DATABASE, SCHEMA
from chapiteau.load.stats.totals import Totals
from tests.load.report.test_report import made, served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three results of one test and one of another."""
    monkeypatch.chdir(tmp_path)
    here = tmp_path / ".chapiteau"
    for seconds, name in ((3, "shop"), (4, "shop"), (5, "shop"), (3, "cart")):
        save_result(here, replace(made(served(seconds)), name=name), "<html>")
    return here


def load(*words: str) -> Any:
    return CliRunner().invoke(group, list(words), catch_exceptions=False, standalone_mode=False)


def test_it_is_kept_for_its_own_test_and_can_be_taken_back(folder: Path) -> None:
    assert client.baselines(folder) == {}
    load("baseline", "1")
    assert "now the baseline of cart" in load("baseline", "4").output
    load("baseline", "2")
    assert client.baselines(folder) == {("run", "shop"): 2, ("run", "cart"): 4}
    assert [one["result"] for one in json.loads(load("baseline", "--json").output)] == [4, 2]
    load("baseline", "2", "--clear")
    assert client.baselines(folder) == {("run", "cart"): 4}


def test_lists_tell_the_difference_and_comparisons_take_the_word(folder: Path) -> None:
    load("baseline", "1")
    rows = load("list").output.splitlines()
    assert ["this one" in row for row in rows] == [False] * 4 + [True]
    assert "+0.0% of #1" in rows[3]
    by_id = {one["id"]: one["baseline"] for one in json.loads(load("list", "--json").output)}
    assert by_id == {1: 1, 2: 1, 3: 1, 4: None}
    for words in (["3"], ["baseline", "3"]):
        found = json.loads(load("compare", *words, "--json").output)
        assert (found["a"]["id"], found["b"]["id"]) == (1, 3)
    assert stored_result("baseline", folder, ("run", "shop")).id == 1


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(NoSuchResultError):
        client.set_baseline(folder, 9)
    with pytest.raises(NotFoundError, match="no baseline is set for shop"):
        stored_result("baseline", folder, ("run", "shop"))
    empty = save_result(folder, made(Totals()), "<html>")
    with pytest.raises(RefusedError):
        client.set_baseline(folder, empty)


def test_a_database_of_before_is_read_and_goes_on(tmp_path: Path) -> None:
    old = SCHEMA.replace("    version TEXT NOT NULL DEFAULT '',\n", "")
    assert old != SCHEMA
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute(old)
        values = "1, 0, 'run', 'shop', '', 'met', '', 1, 9, 9, 0.1, 0, '', x''"
        database.execute(f"INSERT INTO result VALUES ({values})")
    assert [(one.id, one.version) for one in client.results(tmp_path)] == [(1, "")]
    assert client.set_baseline(tmp_path, 1).name == "shop"
    save_result(tmp_path, replace(made(served(3)), target_version="2.4.1"), "<html>")
    assert [one.version for one in client.results(tmp_path)] == ["2.4.1", ""]
