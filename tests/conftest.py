"""Rules for every test: logic only computes, Hypothesis is repeatable, nothing waits for luck."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent

# Ignored where the suite runs in the background, and so in all that tests start and send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines per example would measure how busy the machine is; the timeout per test is enough.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", **_CALM)
settings.register_profile("ci", derandomize=True, database=None, print_blob=True, **_CALM)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, slow tests of one kind run one after the other.

    They drive real processes; two such rows, side by side, keep two cores busy and no more.
    """
    for item in items:
        if item.get_closest_marker("long") and not os.environ.get("LONG"):
            item.add_marker(pytest.mark.skip(reason="half a minute of proof: LONG=1"))
        if item.get_closest_marker("slow") and not item.get_closest_marker("xdist_group"):
            wing = item.path.relative_to(TESTS).parts[0]
            row = "load-and-dash" if wing in ("load", "dash") else "run-and-service"
            item.add_marker(pytest.mark.xdist_group(f"slow-{row}"))


# ── logic decides and never does: the interpreter itself reports when a test breaks that ──────
_FORBIDDEN = {
    "time.sleep": "sleeps",
    "socket.__new__": "opens a socket",
    "subprocess.Popen": "starts a process",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.system": "starts a process",
}
_watching = False


class NotPureError(AssertionError):
    """A logic test did something instead of deciding something."""


def _audit(event: str, _args: tuple[object, ...]) -> None:
    if _watching and event in _FORBIDDEN:
        raise NotPureError(f"a logic test {_FORBIDDEN[event]} ({event})")


sys.addaudithook(_audit)


# Rooms whose modules do no I/O (the contract "pure" in pyproject.toml).
_PURE = ("core", "load/protocols", "load/report", "load/stats", "load/verdict")


def is_logic(path: Path) -> bool:
    """Whether a test file belongs to a room that only computes."""
    if not path.is_relative_to(TESTS):
        return False
    return path.relative_to(TESTS).as_posix().startswith(tuple(f"{room}/" for room in _PURE))


@pytest.fixture(autouse=True)
def _only_decides(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    global _watching  # noqa: PLW0603 — one audit hook per interpreter, switched per test
    if not is_logic(request.path):
        yield
        return

    def no_sleep(seconds: float) -> None:  # Python 3.11 has no audit event for it
        raise NotPureError(f"a logic test sleeps ({seconds} s)")

    monkeypatch.setattr("time.sleep", no_sleep)
    _watching = True
    try:
        yield
    finally:
        _watching = False
