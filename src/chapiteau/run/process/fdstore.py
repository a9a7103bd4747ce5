"""Descriptors that processes leave with the keeper, and get back at their next start.

sd_notify(3): FDSTORE=1 with FDNAME=, FDSTOREREMOVE=1; handed back as sd_listen_fds_with_names(3).
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from chapiteau.run.process.keeper_link import KeeperLink

__all__ = ["FdStore"]

_PREFIX: Final = "kept"
_UNNAMED: Final = "stored"  # as systemd calls it
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class _Kept:
    fd: int
    serial: int
    name: str


class FdStore:
    """Per process number, so that a process gets back its own; ours are copies of the keeper's."""

    def __init__(self, link: KeeperLink) -> None:
        self._link = link
        self._kept: dict[tuple[str, int], list[_Kept]] = {}
        self._serial = 0

    async def restore(self, stored: list[str]) -> None:
        """What brains before us were given."""
        for key in stored:
            prefix, _, rest = key.partition("/")
            if prefix != _PREFIX or (fd := await self._link.fetch(key)) is None:
                continue
            service, number, serial, name = rest.split("/", 3)
            self._serial = max(self._serial, int(serial))
            found = self._kept.setdefault((service, int(number)), [])
            found.append(_Kept(fd, int(serial), name))
            found.sort(key=lambda one: one.serial)

    def names(self, service: str, number: int) -> tuple[tuple[str, str], ...]:
        """(the keeper's key, FDNAME) of each, in the order in which they came."""
        found = self._kept.get((service, number), ())
        return tuple((_key(service, number, one), one.name) for one in found)

    def put(self, service: str, number: int, name: str, fds: list[int], most: int) -> str:
        """Keep them; why not all of them, else "". The descriptors are ours from now on."""
        name = name or _UNNAMED
        if not name.isascii() or not name.isprintable() or ":" in name or len(name) > _LONGEST:
            for fd in fds:
                os.close(fd)
            return f"FDNAME {name[:40]!r} can't be: ASCII without a colon"
        found = self._kept.setdefault((service, number), [])
        refused = 0
        for fd in fds:
            if any(_same(fd, one.fd) for one in found):
                os.close(fd)
            elif len(found) >= most:
                os.close(fd)
                refused += 1
            else:
                self._serial += 1
                found.append(kept := _Kept(fd, self._serial, name))
                self._link.keep(_key(service, number, kept), fd)
        return f"fd_store = {most} is full: {refused} not kept" if refused else ""

    def remove(self, service: str, number: int, name: str) -> None:
        """FDSTOREREMOVE=1: those of this name."""
        self._drop(service, number, lambda one: one.name == (name or _UNNAMED))

    def forget(self, service: str, above: int = 0) -> None:
        """The service is stopped, or has fewer processes: what numbers above this one left goes."""
        for owner, number in list(self._kept):
            if owner == service and number > above:
                self._drop(owner, number, lambda _: True)

    def _drop(self, service: str, number: int, chosen: Callable[[_Kept], bool]) -> None:
        found = self._kept.pop((service, number), [])
        for one in filter(chosen, found):
            self._link.tell("drop", name=_key(service, number, one))
            os.close(one.fd)
        if rest := [one for one in found if not chosen(one)]:
            self._kept[service, number] = rest

    def held(self) -> Iterator[tuple[str, int]]:
        """(the keeper's key, our copy) of everything."""
        for (service, number), found in self._kept.items():
            for one in found:
                yield _key(service, number, one), one.fd


def _key(service: str, number: int, one: _Kept) -> str:
    return f"{_PREFIX}/{service}/{number}/{one.serial}/{one.name}"


def _same(one: int, two: int) -> bool:
    """Whether both are the same thing. Files can be opened twice and be read at two places."""
    first, second = os.fstat(one), os.fstat(two)
    alike = (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
    return alike and not stat.S_ISREG(first.st_mode) and not stat.S_ISCHR(first.st_mode)
