"""What Circus tells of one process: its names, its formats, read from /proc."""

import os
import pwd
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chapiteau.migrate.circus.protocol import resource_name
from chapiteau.run.system.process_tree import children_of, with_descendants

__all__ = [
    "ProcessInfo",
    "ServiceTotals",
    "SocketReads",
    "SocketTotals",
    "descendants",
    "process_info",
    "process_stats",
    "send_signal",
]

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UNITS: Final = ("", "K", "M", "G", "T")


class ProcessInfo(msgspec.Struct, omit_defaults=True):
    """As circus.util.get_info; `wid`, `started` and `children` are of a service's process alone."""

    pid: int
    cmdline: str
    username: str
    nice: int
    mem_info1: str
    mem_info2: str
    mem: float
    cpu: float
    ctime: str
    create_time: float
    age: float
    wid: int | None = None
    started: float | None = None
    children: "list[ProcessInfo] | None" = None
    subtopic: int | None = None
    name: str | msgspec.UnsetType | None = msgspec.UNSET


class ServiceTotals(msgspec.Struct):
    """What all processes of a service use."""

    pid: list[int]
    cpu: float
    mem: float
    age: float


class SocketReads(msgspec.Struct):
    """Connections that wait to be accepted now."""

    fd: int
    subtopic: int
    reads: int
    address: str


class SocketTotals(msgspec.Struct):
    """The same of all sockets."""

    addresses: list[str]
    reads: int


Stats = ProcessInfo | ServiceTotals | SocketReads | SocketTotals


def process_info(pid: int, cpu: float, now: float, *, number: int = 0) -> ProcessInfo | None:
    """A process with its children; None when there is no such process."""
    found = _facts(pid, cpu, now)
    if found is not None:
        children = (_facts(child, 0.0, now) for child in descendants(pid))
        found.wid, found.started = number, found.create_time
        found.children = [child for child in children if child]
    return found


def _facts(pid: int, cpu: float, now: float) -> ProcessInfo | None:
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
    return ProcessInfo(
        pid=pid,
        cmdline=os.path.basename(words[0].decode(errors="replace")) or "N/A",  # noqa: PTH119
        username=_user(owner),
        nice=int(stat[16]),
        mem_info1=_size(rss),
        mem_info2=_size(int(stat[20])),
        mem=round(100 * rss / _memory(), 3),
        cpu=cpu,
        ctime=f"{int(seconds) // 60 % 60}:{int(seconds) % 60:02}.{int(seconds * 100) % 100:02}",
        create_time=began,
        age=max(0.0, now - began),
    )


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
    children = children_of(pid)
    return list(with_descendants(children)) if recursive else children


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
        signal.pidfd_send_signal(held, number)
        return True
    except OSError:
        return False
    finally:
        os.close(held)


# ── figures ───────────────────────────────────────────────────────────────────────────────────
def process_stats(
    sample: Mapping[str, Any], addresses: Mapping[str, str], supervisor: int
) -> Iterator[tuple[str, Stats]]:
    """What circus-top shows: topic and body for each process, service and socket.

    The supervisor itself is "circus".
    """
    by_service: dict[str, list[ProcessInfo]] = {}
    rows = [
        (resource_name(key.rpartition("/")[0]), pid, cpu, None)
        for key, pid, cpu in zip(sample["ids"], sample["pid"], sample["cpu"], strict=True)
    ]
    for service, pid, cpu, name in [
        *rows,
        ("circus", supervisor, sample["supervisor"]["cpu"], "circusd"),
    ]:
        info = process_info(pid, cpu, sample["time"])
        if info is not None:
            info.subtopic, info.name = pid, name
            before = [] if name else by_service.get(service, [])  # a plugin may be called circus
            by_service[service] = [*before, info]
            yield f"stat.{service}.{pid}", info
    for service, infos in by_service.items():
        yield f"stat.{service}", _totals(infos)
    yield from _sockets(sample.get("sockets", {}), addresses)


def _totals(infos: list[ProcessInfo]) -> ServiceTotals:
    """Average CPU, sum of memory, age of the oldest: as Circus does."""
    return ServiceTotals(
        pid=[info.pid for info in infos],
        cpu=sum(info.cpu for info in infos) / len(infos),
        mem=sum(info.mem for info in infos),
        age=max(info.age for info in infos),
    )


def _sockets(
    sockets: Mapping[str, Any], addresses: Mapping[str, str]
) -> Iterator[tuple[str, SocketReads | SocketTotals]]:
    total = SocketTotals(addresses=[], reads=0)
    for fd, (name, facts) in enumerate(sockets.items(), 3):
        address, reads = addresses.get(name, name), facts.get("queued", 0)
        total.addresses.append(address)
        total.reads += reads
        yield f"stat.sockets.{fd}", SocketReads(fd=fd, subtopic=fd, reads=reads, address=address)
    if sockets:
        yield "stat.sockets", total
