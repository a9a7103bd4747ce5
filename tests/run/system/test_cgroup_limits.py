"""Limits of the kernel hold; those by cgroup that can't be had are told, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chapiteau.run.system.cgroups import Cgroups, limit_alternatives, unavailable_limits_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.project import Project


def test_without_cgroups_the_reason_is_that(tmp_path: Path) -> None:
    none = Cgroups(None, None, "no cgroup v2 on this machine")
    missing = none.limit("web", {"memory.max": "1", "cpu.max": "1 2"})
    text = unavailable_limits_text(missing, none.why_unlimited(missing))
    assert text.startswith(
        "limits.cpu, limits.memory do not hold on this machine: no cgroup v2 on this machine"
    )
    assert "limits.memory_soft" in limit_alternatives(missing)


def test_controllers_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu hugetlb\n")
    (tmp_path / "ours").mkdir()
    found = Cgroups(tmp_path / "ours", tmp_path)
    why = found.why_unlimited(["memory.max", "pids.max", "cpu.max"])
    assert "not given memory, pids" in why
    assert found.why_unlimited(["cpu.max"]) == "cgroup v2 does not let us set it"
    assert unavailable_limits_text(["pids.max"], why).startswith("limits.pids does not hold")


@pytest.mark.slow
def test_any_limit_of_the_kernel_can_be_set(project: Callable[[str], Project]) -> None:
    p = project("""
        [service.a]
        command = ["sh", "-c", "cat /proc/self/limits; exec sleep 600"]
        ready.log = "Max realtime timeout"
        limits.rlimits = { memlock = 65536, cpu = "600:1200", msgqueue = "4096" }
    """).up()
    p.until("a", "running")
    said = (p.folder / ".chapiteau/log/a/1.stdout.log").read_text()
    found = {line[:26].strip(): line[26:].split()[:2] for line in said.splitlines()}
    assert found["Max locked memory"] == ["65536", "65536"]
    assert found["Max cpu time"] == ["600", "1200"]
    assert found["Max msgqueue size"] == ["4096", "4096"]


@pytest.mark.slow
def test_an_environment_that_is_too_large_is_told(project: Callable[[str], Project]) -> None:
    """It does not hang in "starting", nor does anything else wait for it."""
    p = project("""
        [service.a]
        command = "sleep 600"
        env_files = ["large.env"]
        autostart = false
    """)
    p.file("large.env", "\n".join(f"V{number}={'x' * 1000}" for number in range(400)))
    p.up()
    outcome = p.client.command("start", "a")
    assert not outcome.ok
    assert "its command line and environment are 39" in outcome.error
    assert "KiB, more than 256 KiB" in outcome.error
