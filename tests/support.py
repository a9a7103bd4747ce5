"""Small tools that the tests of every wing share: wait for facts, free ports, the command line."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = [
    "DEADLINE",
    "ROOT",
    "alive",
    "as_root",
    "free_port",
    "not_as_root",
    "run_cli",
    "state_of",
    "wait_for",
    "wait_for_async",
]

T = TypeVar("T")

# Seconds until a wait for a fact gives up: far away on purpose, machines are busy at times.
DEADLINE = 60.0
ROOT = Path(__file__).resolve().parent.parent  # of the repository

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


def wait_for(fact: Callable[[], T], deadline: float = DEADLINE, what: str = "") -> T:
    """Ask until the answer is true, and give it; AssertionError after `deadline` seconds.

    An exception of `fact` counts as "not yet"; the last one becomes the cause of the failure.
    """
    end = time.monotonic() + deadline
    pause, last = 0.002, None
    while True:
        try:
            answer, last = fact(), None
            if answer:
                return answer
        except (OSError, ValueError, LookupError, AssertionError) as exc:
            last = exc
        if time.monotonic() >= end:
            raise AssertionError(_late(fact, deadline, what, last)) from last
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)


async def wait_for_async(
    fact: Callable[[], Awaitable[T] | T], deadline: float = DEADLINE, what: str = ""
) -> T:
    """The same inside an event loop; `fact` may be a coroutine function."""
    end = time.monotonic() + deadline
    pause, last = 0.002, None
    while True:
        try:
            answer = fact()
            if hasattr(answer, "__await__"):
                answer = await answer
            last = None
            if answer:
                return answer  # type: ignore[return-value]
        except (OSError, ValueError, LookupError, AssertionError) as exc:
            last = exc
        if time.monotonic() >= end:
            raise AssertionError(_late(fact, deadline, what, last)) from last
        await asyncio.sleep(pause)
        pause = min(0.05, pause * 1.5)


def _late(fact: object, deadline: float, what: str, last: BaseException | None) -> str:
    name = what or getattr(fact, "__name__", repr(fact))
    return f"not true after {deadline:g} s: {name}" + (f" ({last!r})" if last else "")


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody holds right now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return state_of(pid) not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def state_of(pid: int) -> str:
    """What a process does: R, S, D, T, Z … (proc(5))."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return stat.rpartition(b")")[2].split()[0].decode()


def run_cli(
    *args: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 100.0,
) -> subprocess.CompletedProcess[str]:
    """`chapiteau ARGS` as a user runs it: exit code, stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, "-m", "chapiteau", *args],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
