"""What the threads of a process are doing, as far as the kernel tells."""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

__all__ = [
    "children_of",
    "find_orphans",
    "foreign_helpers",
    "parent_of",
    "processes_with_key",
    "thread_stacks",
    "with_descendants",
]


def thread_stacks(pid: int) -> list[str]:
    """One entry per thread: name, state, where it waits, and (for root) its kernel stack."""
    with contextlib.suppress(OSError):
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda p: int(p.name))
        return [_thread(task) for task in tasks[:64]]
    return []


def _thread(task: Path) -> str:
    name, state, wait, stack = _text(task / "comm"), "", _text(task / "wchan"), ""
    for line in _text(task / "status").splitlines():
        if line.startswith("State:"):
            state = line.partition(":")[2].strip()
    stack = "; ".join(line.split("] ")[-1] for line in _text(task / "stack").splitlines()[:12])
    parts = [
        f"thread {task.name} {name}",
        state,
        f"waits in {wait}" if wait not in ("", "0") else "",
    ]
    return ", ".join(p for p in parts if p) + (f": {stack}" if stack else "")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


# Descendants that outlived their process, where no cgroup holds them together.
#
# The keeper is a subreaper, so orphans become its children; the mark CHAPITEAU_KEY in their
# environment tells whose they are.

_HELPERS = (b"hook-", b"probe-")  # the brain's own children: CHAPITEAU_KEY=hook-PID-…


def children_of(pid: int) -> list[int]:
    """Direct children, over all threads of the process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


def with_descendants(pids: Iterable[int]) -> Iterator[int]:
    """These processes and everything below them."""
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children_of(pid)


def parent_of(pid: int) -> int:
    """Its parent; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError):
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split(None, 2)
        return int(words[1])
    return 0


def find_orphans(keeper_pid: int, key: str, known: Collection[int]) -> list[int]:
    """Pids below the keeper that carry this key, and everything below them.

    `known` are the keeper's own children, which need no second look.
    """
    mark = f"CHAPITEAU_KEY={key}".encode()
    orphans = [pid for pid in children_of(keeper_pid) if pid not in known]
    return list(with_descendants(pid for pid in orphans if _carries(pid, mark)))


def foreign_helpers(keeper_pid: int, brain_pid: int) -> list[int]:
    """Hooks and probes that a brain before this one has left to the keeper, and what is below."""
    own = tuple(b"%s%d-" % (kind, brain_pid) for kind in _HELPERS)
    return list(
        with_descendants(
            pid
            for pid in children_of(keeper_pid)
            if (key := _key_of(pid)).startswith(_HELPERS) and not key.startswith(own)
        )
    )


def processes_with_key(variable: str, value: str) -> list[int]:
    """Every process of this machine that has this in its environment, without ourselves and
    those that started us. A program that writes over its environment is not found."""
    mark = f"{variable}={value}".encode()
    above = _ancestors(os.getpid())
    everybody = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208
    return [pid for pid in everybody if pid not in above and _carries(pid, mark)]


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 0:
        found.add(pid)
        pid = parent_of(pid)
    return found


def _key_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"CHAPITEAU_KEY="):
                return entry.partition(b"=")[2]
    return b""


def _carries(pid: int, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        path = Path(f"/proc/{pid}/environ")
        alive = b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
        return alive and mark in path.read_bytes().split(b"\0")
    return False
