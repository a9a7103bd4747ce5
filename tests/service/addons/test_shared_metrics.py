"""Figures of several processes: whoever is scraped tells the sum, also of those that have ended."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.service import Service
from chapiteau.service.addons import SharedMetrics
from chapiteau.service.addons.shared_metrics import _MOST, _locked

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Any]


def test_processes_count_together_and_the_dead_are_not_forgotten(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("counting.py")), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("seconds") == pytest.approx(6001 * 0.002)
    assert told == {
        "rises": True, "last": 6001, "same": True, "own": [500, 501],
        "left": ["", ".figures", ".json"],
    }  # fmt: skip
    # That process has ended too now: its file is added to the others, and the sum stays.
    assert sum(SharedMetrics(tmp_path).sums()["one", "GET", 200][:-1]) == 6001
    assert [path.name for path in tmp_path.glob("*.figures")] == []


def test_a_file_that_is_just_made_is_not_added_up_as_a_dead_processs(tmp_path: Path) -> None:
    # Between its creation and its lock it looks as if its process had ended: not while one adds up.
    tally = SharedMetrics(tmp_path)
    counting = threading.Thread(target=tally.add, args=(("one", "GET", 200), 0.002))
    with _locked(tmp_path / "lock"):
        counting.start()
        counting.join(0.2)
        assert list(tmp_path.glob("*.figures")) == []
    counting.join()
    assert sum(tally.sums()["one", "GET", 200][:-1]) == 1


def test_a_scrape_of_one_application_tells_the_other_too(build: Build, tmp_path: Path) -> None:
    def client() -> Any:
        service = Service("one", "/one")
        service.add("GET", lambda: 1)
        return build(service, more=lambda config: config.add_metrics(folder=tmp_path))

    first, second = client(), client()
    for _ in range(2):
        first.get("/one")
    second.get("/one")
    lines = second.get("/metrics").text.splitlines()
    labels = 'service="one",path="/one",method="GET",status="200"'
    assert f"chapiteau_request_duration_seconds_count{{{labels}}} 3" in lines


def test_a_crash_between_adding_and_removing_counts_nothing_twice(tmp_path: Path) -> None:
    tally = SharedMetrics(tmp_path)
    tally.add(("one", "GET", 200), 0.1)
    (file,) = tmp_path.glob("*.figures")
    (tmp_path / "ended.json").write_text(json.dumps({"sums": [], "folded": [file.name]}))
    assert SharedMetrics(tmp_path).sums() == {}
    (tmp_path / "half.figures").write_bytes(b"")  # its process died while making it
    assert SharedMetrics(tmp_path).sums() == {}


def test_a_full_disk_costs_nobody_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mapped page without room would be SIGBUS: it must be had before, or not be used."""

    def full(_handle: int, offset: int, _length: int) -> None:
        if offset >= room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    room = [1]  # the first slots only
    tally = SharedMetrics(tmp_path)
    for number in range(100):
        tally.add((f"s{number}", "GET", 200), 0.1)
        tally.add((f"s{number}", "GET", 200), 0.1)
    assert {sum(cells[:-1]) for cells in tally.sums().values()} == {2.0}
    assert len(tally.sums()) == 100
    room = [0]  # none at all
    alone = SharedMetrics(tmp_path / "other")
    alone.add(("one", "GET", 200), 0.1)
    assert sum(alone.sums()["one", "GET", 200][:-1]) == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["lock"]
    assert "this process counts alone" in caplog.text
    shutil.rmtree(tmp_path)  # whoever tidies up /tmp takes only the others from us
    assert {sum(cells[:-1]) for cells in tally.sums().values()} == {2.0}


def test_names_and_numbers_are_bounded(tmp_path: Path) -> None:
    tally = SharedMetrics(tmp_path)
    tally.add(("é" * 200, "GET", 200), 0.1)
    for number in range(_MOST + 5):
        tally.add((f"s{number}", "GET", 200), 0.1)
    sums = tally.sums()
    assert len(sums) == _MOST
    assert sum(sum(cells[:-1]) for cells in sums.values()) == _MOST + 6
