"""Where services of other users meet their supervisor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.system import runtime_dirs as meeting
from tests.support import as_root

if TYPE_CHECKING:
    from pathlib import Path


def test_an_ordinary_user_meets_beside_the_control_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    deep = tmp_path / ("x" * 120)  # too long for the address of a socket
    for run_dir in (tmp_path / "run", deep):
        found = meeting.runtime_dir(run_dir)
        assert found.stat().st_mode & 0o077 == 0
        figures = meeting.metrics_dir(found, "web", None, None)
        assert figures == meeting.metrics_dir(found, "web", None, None) == f"{found}/figures/web"
        meeting.remove_runtime_dir(run_dir)
        assert list(found.iterdir()) == []
    found.rmdir()


@as_root
def test_root_meets_where_others_may_pass_but_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "_ROOTS", tmp_path / "roots")
    found = meeting.runtime_dir(tmp_path / "run")
    assert found.parent == tmp_path / "roots"
    assert [part.stat().st_mode & 0o777 for part in (found.parent, found)] == [0o711, 0o711]
    figures = tmp_path / meeting.metrics_dir(found, "web", 65534, 65534)
    assert (figures.stat().st_uid, figures.stat().st_mode & 0o777) == (65534, 0o700)
    meeting.remove_runtime_dir(tmp_path / "run")
    assert not found.exists()
    (tmp_path / "roots").chmod(0o777)  # somebody else could put a socket of theirs there
    assert meeting.runtime_dir(tmp_path / "run") == tmp_path / "run"


def test_without_room_for_figures_a_service_starts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("in the way")
    assert meeting.metrics_dir(tmp_path, "web", None, None) == ""
