"""Limits by cgroup that can't be had are told by their settings, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chapiteau.run.engine.machine.cgroups import Cgroups
from chapiteau.run.engine.machine.limits import instead_of, missing_text

if TYPE_CHECKING:
    from pathlib import Path


def test_without_cgroups_the_reason_is_that(tmp_path: Path) -> None:
    none = Cgroups(None, None, "no cgroup v2 on this machine")
    missing = none.limit("web", {"memory.max": "1", "cpu.max": "1 2"})
    text = missing_text(missing, none.why_unlimited(missing))
    assert text.startswith(
        "limits.cpu, limits.memory do not hold on this machine: no cgroup v2 on this machine"
    )
    assert "limits.memory_soft" in instead_of(missing)


def test_controllers_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu hugetlb\n")
    (tmp_path / "ours").mkdir()
    found = Cgroups(tmp_path / "ours", tmp_path)
    why = found.why_unlimited(["memory.max", "pids.max", "cpu.max"])
    assert "not given memory, pids" in why
    assert found.why_unlimited(["cpu.max"]) == "cgroup v2 does not let us set it"
    assert missing_text(["pids.max"], why).startswith("limits.pids does not hold")
