"""What Circus tells of one process: its names, its formats, read from /proc."""

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chapiteau.migrate.circus.protocol import resource_name

__all__ = ["descendants", "process_info", "process_stats", "send_signal"]

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UNITS: Final = ("", "K", "M", "G", "T")


def process_info(pid: int, cpu: float, now: float, *, number: int = 0) -> dict[str, Any] | None:
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


# ── figures ───────────────────────────────────────────────────────────────────────────────────
def process_stats(
    sample: Mapping[str, Any], addresses: Mapping[str, str], supervisor: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What circus-top shows: topic and body for each process, service and socket.

    The supervisor itself is "circus".
    """
    by_service: dict[str, list[dict[str, Any]]] = {}
    for key, pid, cpu in zip(sample["ids"], sample["pid"], sample["cpu"], strict=True):
        service = resource_name(key.rpartition("/")[0])
        info = process_info(pid, cpu, sample["time"])
        if info is not None:
            info = {**info, "subtopic": pid, "name": None}
            by_service.setdefault(service, []).append(info)
            yield f"stat.{service}.{pid}", info
    own = process_info(supervisor, sample["supervisor"]["cpu"], sample["time"])
    if own is not None:
        own = {**own, "subtopic": supervisor, "name": "circusd"}
        by_service["circus"] = [own]
        yield f"stat.circus.{supervisor}", own
    for service, infos in by_service.items():
        yield f"stat.{service}", _totals(infos)
    yield from _sockets(sample.get("sockets", {}), addresses)


def _totals(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Average CPU, sum of memory, age of the oldest: as Circus does."""
    return {
        "pid": [info["pid"] for info in infos],
        "cpu": sum(info["cpu"] for info in infos) / len(infos),
        "mem": sum(info["mem"] for info in infos),
        "age": max(info["age"] for info in infos),
    }


def _sockets(
    sockets: Mapping[str, Any], addresses: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`reads` are the connections that wait to be accepted now."""
    total: dict[str, Any] = {"addresses": [], "reads": 0}
    for fd, (name, facts) in enumerate(sockets.items(), 3):
        address, reads = addresses.get(name, name), facts.get("queued", 0)
        total["addresses"].append(address)
        total["reads"] += reads
        body = {"fd": fd, "subtopic": fd, "reads": reads, "address": address}
        yield f"stat.sockets.{fd}", body
    if sockets:
        yield "stat.sockets", total
