"""What the threads of a process are doing, as far as the kernel tells."""

import contextlib
from pathlib import Path

__all__ = ["stacks_of"]


def stacks_of(pid: int) -> list[str]:
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
