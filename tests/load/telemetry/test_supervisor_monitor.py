"""What a process may use at most, from the kernel's own files."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.telemetry.supervisor_monitor import process_limits

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_s_descriptors_are_those_that_it_may_open() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert process_limits(os.getpid())[0] == (soft if soft != resource.RLIM_INFINITY else None)


@pytest.mark.parametrize(("most", "says"), [("1048576\n", 1048576), ("max\n", None)])
def test_memory_is_limited_by_the_control_group(
    tmp_path: Path, most: str, says: int | None
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("0::/chapiteau/web\n")
    (tmp_path / "chapiteau/web").mkdir(parents=True)
    (tmp_path / "chapiteau/web/memory.max").write_text(most)

    assert process_limits(7, tmp_path, tmp_path) == (None, says)


def test_a_process_that_is_gone_has_no_limits(tmp_path: Path) -> None:
    assert process_limits(7, tmp_path, tmp_path) == (None, None)
