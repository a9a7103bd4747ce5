"""What Circus tells of one process: its names, its formats, read from /proc."""

import contextlib
import os
import pwd
import signal
from pathlib import Path
from typing import Any, Final

from chapiteau.migrate.circus.protocol import watcher_options
from chapiteau.run.client.aio import AsyncClient
from chapiteau.run.logic.status import ServiceStatus

__all__ = ["Settings", "descendants", "info_of", "send_signal"]

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UNITS: Final = ("", "K", "M", "G", "T")


def info_of(pid: int, cpu: float, now: float, *, number: int = 0) -> dict[str, Any] | None:
    """As circus.util.get_info, with the children; None when there is no such process."""
    found = _facts(pid, cpu, now)
    if found is None:
        return None
    children = (_facts(child, 0.0, now) for child in descendants(pid))
    return {
        **found,
        "wid": number,
        "started": found["create_time"],
        "children": [child for child in children if child],
    }


def _facts(pid: int, cpu: float, now: float) -> dict[str, Any] | None:
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        words = (folder / "cmdline").read_bytes().split(b"\0")
        owner = folder.stat().st_uid
    except OSError:
        return None
    # proc(5): state is the first word here, so field N of the page is stat[N - 3].
    seconds = (int(stat[11]) + int(stat[12])) / _TICK
    began = _boot_time() + int(stat[19]) / _TICK
    rss = int(stat[21]) * _PAGE
    return {
        "pid": pid,
        "cmdline": os.path.basename(words[0].decode(errors="replace")) or "N/A",  # noqa: PTH119
        "username": _user(owner),
        "nice": int(stat[16]),
        "mem_info1": _size(rss),
        "mem_info2": _size(int(stat[20])),
        "mem": round(100 * rss / _memory(), 3),
        "cpu": cpu,
        "ctime": f"{int(seconds) // 60 % 60}:{int(seconds) % 60:02}.{int(seconds * 100) % 100:02}",
        "create_time": began,
        "age": max(0.0, now - began),
    }


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * _PAGE


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _size(count: int) -> str:
    """ "12.34M", as Circus writes it; bytes alone get a B."""
    number, unit = float(count), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.2f}{_UNITS[unit]}" if unit else f"{count}B"


def descendants(pid: int, *, recursive: bool = True) -> list[int]:
    """Pids below a process; only its children when not `recursive`."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (task / "children").read_text().split()]
    deeper = [below for child in found for below in descendants(child)] if recursive else []
    return [*found, *deeper]


def send_signal(pid: int, number: int, *, below: int) -> bool:
    """Signal a descendant of `below`; False when it is none, or has gone.

    The process is held by a descriptor while its place is looked up: its number can't become
    another process's in between.
    """
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if pid not in descendants(below):
            return False
        import signal

        signal.pidfd_send_signal(held, number)
        return True
    except OSError:
        return False
    finally:
        os.close(held)


# The settings of a service as Circus's options, from the running configuration.


class Settings:
    """Asked anew every time: they change with the configuration."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def of(self, service: ServiceStatus) -> dict[str, Any]:
        """Every option of one service."""
        running = await self._client.config()
        status = await self._client.status()
        return watcher_options(
            running.get("service", {}).get(service.name, {"command": service.command}),
            wanted=service.wanted,
            folder=str(Path(status.config).parent),
            signals={one.name: one.value for one in signal.Signals},
        )
