"""Counts of all processes of a service, in a folder: whoever is scraped tells the sum.

Each process counts in a file of its own, which it maps and locks; nobody waits for anybody. Who is
asked adds all files up. The file of a process that has ended (its lock is free) is first added to
`ended.json`, so that counts never go down.
"""

import contextlib
import fcntl
import json
import logging
import mmap
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chapiteau.service.addons.metrics import BOUNDS, CELLS, MemoryMetrics, MetricKey, MetricSums

__all__ = ["SharedMetrics"]

_log = logging.getLogger("chapiteau.service.metrics")

_MAGIC: Final = b"chapfig1"
_HEAD: Final = 64  # bytes: the magic, then how many slots are in use
_NAME: Final = 192  # bytes of a slot for its key
_SLOT: Final = _NAME + 8 * 16  # then its numbers
_MOST: Final = 2048  # slots of a process; the file is sparse
_TOGETHER: Final = 64  # slots that get their room on the disk at once
_KEY: Final = struct.Struct("<H")
_COUNT: Final = struct.Struct("<Q")
_NUMBERS: Final = struct.Struct(f"<{CELLS}d")


class SharedMetrics:
    """For all processes that name the same folder, also after a fork; one folder per service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._mine: _Mine | None = None
        self._alone = MemoryMetrics()  # what finds no room in the folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, key: MetricKey, seconds: float) -> None:
        """See Tally."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._alone = MemoryMetrics()
                self._mine = _opened(self._folder)
            if self._mine is None or not self._mine.add(key, seconds):
                self._alone.add(key, seconds)

    def sums(self) -> MetricSums:
        """See Tally."""
        sums: MetricSums = {}
        try:
            with _locked(self._folder / "lock"):
                sums = _collected(self._folder)
        except OSError as exc:
            _log.warning("%s: %s: only this process is told", self._folder, exc.strerror)
            if self._mine is not None and self._pid == os.getpid():
                sums = self._mine.read()
        if self._pid == os.getpid():
            for key, cells in self._alone.sums().items():
                _add(sums, key, cells)
        return sums


class _Mine:
    """The file of this process."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}-{os.urandom(4).hex()}.figures"
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)  # until this process ends, however it ends
        size = _HEAD + _MOST * _SLOT
        try:
            os.ftruncate(self._handle, size)
            # A page of a mapped file that finds no room on the disk kills whoever touches it.
            os.posix_fallocate(self._handle, 0, _HEAD + _TOGETHER * _SLOT)
        except OSError:
            path.unlink()
            os.close(self._handle)
            raise
        self._map = mmap.mmap(self._handle, size)
        self._map[: len(_MAGIC)] = _MAGIC
        # Numbers are written one by one, eight bytes at once: a reader sees old or new, no mixture.
        self._cells = memoryview(self._map).cast("d")
        self._slots: dict[MetricKey, int] = {}

    def add(self, key: MetricKey, seconds: float) -> bool:
        """Count; False when there is no room for one more key."""
        at = self._slots.get(key)
        if at is None:
            try:
                at = self._new(key)
            except OSError:
                return False
        self._cells[at + bisect_left(BOUNDS, seconds)] += 1
        self._cells[at + CELLS - 1] += seconds
        return True

    def read(self) -> MetricSums:
        return _read(self._map[:])

    def _new(self, key: MetricKey) -> int:
        """The place of a key's first number, counted in numbers. Raises OSError."""
        number = len(self._slots)
        if number >= _MOST:  # more than anybody declares; the last slot takes the rest
            return (_HEAD + (_MOST - 1) * _SLOT + _NAME) // 8
        place = _HEAD + number * _SLOT
        if number % _TOGETHER == 0:
            os.posix_fallocate(self._handle, place, min(_TOGETHER, _MOST - number) * _SLOT)
        name = _name(key)
        self._map[place : place + 2 + len(name)] = _KEY.pack(len(name)) + name
        self._map[8:16] = _COUNT.pack(number + 1)  # last: now readers may look
        self._slots[key] = (place + _NAME) // 8
        return self._slots[key]


def _opened(folder: Path) -> _Mine | None:
    try:
        # Nobody adds up meanwhile: a file that is not locked yet would be taken for a dead one's.
        with _locked(folder / "lock"):
            return _Mine(folder)
    except OSError as exc:
        _log.warning("%s: %s: this process counts alone", folder, exc.strerror)
        return None


def _name(key: MetricKey) -> bytes:
    service, method, status = key
    name = json.dumps([service, method, status]).encode()
    if len(name) > _NAME - 2:
        name = json.dumps([service[:30] + "…", method[:10], status]).encode()
    return name


def _read(data: bytes) -> MetricSums:
    """What a file says; nothing for one that is not whole (its process died while making it)."""
    found: MetricSums = {}
    if data[: len(_MAGIC)] != _MAGIC:
        return found
    for number in range(_COUNT.unpack_from(data, 8)[0]):
        place = _HEAD + number * _SLOT
        length = _KEY.unpack_from(data, place)[0]
        service, method, status = json.loads(data[place + 2 : place + 2 + length])
        _add(found, (service, method, status), list(_NUMBERS.unpack_from(data, place + _NAME)))
    return found


def _add(sums: MetricSums, key: MetricKey, cells: list[float]) -> None:
    before = sums.get(key)
    sums[key] = cells if before is None else [a + b for a, b in zip(before, cells, strict=True)]


def _collected(folder: Path) -> MetricSums:
    """Add everything up; the caller holds the folder's lock."""
    sums, folded = _ended(folder / "ended.json")
    living: MetricSums = {}
    done = []
    for path in sorted(folder.glob("*.figures")):
        if path.name in folded:  # added before, but not yet removed
            path.unlink()
            continue
        with path.open("rb") as file:
            into = living
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                into = sums
                done.append(path)
            for key, cells in _read(file.read()).items():
                _add(into, key, cells)
    if done:
        # A full disk: they are added up again the next time.
        with contextlib.suppress(OSError):
            _keep(folder / "ended.json", sums, [path.name for path in done])
            for path in done:
                path.unlink()
    for key, cells in living.items():
        _add(sums, key, cells)
    return sums


def _ended(path: Path) -> tuple[MetricSums, list[str]]:
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, []
    return {(s, m, n): cells for s, m, n, cells in kept["sums"]}, kept["folded"]


def _keep(path: Path, sums: MetricSums, folded: list[str]) -> None:
    rows = [[*key, cells] for key, cells in sums.items()]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"sums": rows, "folded": folded}))
    new.replace(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
