"""Reads the output of services from their log files, for plugins that want every line.

The files are where output is kept whatever happens, so a plugin that is slow, or down for a while,
loses nothing as long as they are there: it goes on where it was. It costs the brain nothing.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.io.files import write_atomic
from chapiteau.run.logs.line_format import join_lines
from chapiteau.run.logs.messages import LogLine

__all__ = ["LogFileReader", "multiline_of"]

_NAME: Final = re.compile(r"(?P<process>\d+)\.(?P<stream>stdout|stderr)\.log")
_MOST: Final = 1000  # lines at a time
_BLOCK: Final = 256 << 10  # bytes of one file at a time
_LONGEST: Final = 16 * 1024  # bytes of one line; what is longer goes on in the next
_TAIL: Final = 16  # bytes by which a file is known again
_TURNED: Final = 20  # numbered files that are looked through for the rest of one that was turned


@dataclass(slots=True)
class _Place:
    """How far one stream has been read."""

    inode: int
    offset: int
    tail: str = ""  # the last bytes before the offset, in hex: an inode may be given out again
    changed: int = 0  # when the file was changed last, in ns: older ones have been read
    seen: int = 0  # how large the file was when a started record was left for later

    def start(self, inode: int) -> None:
        """Go to the beginning of a file."""
        self.inode, self.offset, self.tail, self.seen = inode, 0, "", 0

    def advance(self, offset: int, tail: str) -> None:
        """What is before the offset has been read."""
        self.offset, self.tail = offset, tail

    def identify(self, found: os.stat_result) -> None:
        """This is the file, as it is now."""
        self.inode, self.changed = found.st_ino, found.st_mtime_ns

    def wait_for_more(self, size: int) -> bool:
        """Leave a started record for later; True when nothing has come since the last time."""
        before, self.seen = self.seen, size
        return before == size


@dataclass(slots=True)
class LogFileReader:
    """`read` gives new lines; `keep` remembers that they have been dealt with.

    `multiline` gives the pattern of a service's first lines; `missed(service)` hears of output
    that was deleted before it could be read.
    """

    folder: Path  # RUN_DIR/log
    note: Path
    clock: Clock
    wanted: Callable[[str], bool]
    multiline: Callable[[str], str] = lambda service: ""
    missed: Callable[[str], None] = lambda service: None
    _places: dict[str, _Place] = field(default_factory=dict)
    _ahead: dict[str, _Place] = field(default_factory=dict)
    _last: str = ""  # the file that was read last
    _room: int = 0  # lines that may still be read now

    def begin(self) -> None:
        """Go on where the last one was; the first one begins with what comes from now on."""
        known: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            known = json.loads(self.note.read_text())
            self._places = {
                str(k): _Place(int(v[0]), int(v[1]), str(v[2]), *map(int, v[3:]))
                for k, v in known.items()
            }
        if not self.note.exists():
            for name, path in self._files():
                with contextlib.suppress(OSError), path.open("rb") as file:
                    found = os.fstat(file.fileno())
                    tail = _tail(file.fileno(), found.st_size)
                    place = _Place(found.st_ino, found.st_size, tail, found.st_mtime_ns)
                    self._places[name] = place
            self._write()

    def read(self) -> list[LogLine]:
        """Up to a thousand new lines, in the order of each stream."""
        found: list[LogLine] = []
        self._ahead = {name: replace(place) for name, place in self._places.items()}
        files = list(self._files())
        # The one after the last that was read comes first: a flood in one holds up no other.
        turn = next((i for i, (name, _) in enumerate(files) if name > self._last), 0)
        for name, path in [*files[turn:], *files[:turn]]:
            self._room = _MOST - len(found)
            if self._room <= 0:
                break
            if new := self._new(name, path):
                self._last = name
                found += new
        return found

    def keep(self) -> None:
        """What was read last is done."""
        changed = self._places != self._ahead
        self._places = self._ahead
        if changed:
            self._write()

    def _write(self) -> None:
        kept = {
            name: [place.inode, place.offset, place.tail, place.changed]
            for name, place in self._places.items()
        }
        with contextlib.suppress(OSError):  # a full disk: after a crash some lines come twice
            write_atomic(self.note, json.dumps(kept).encode(), mode=0o600)

    def _files(self) -> Iterator[tuple[str, Path]]:
        with contextlib.suppress(OSError):
            for service in sorted(os.scandir(self.folder), key=lambda entry: entry.name):
                if service.is_dir() and self.wanted(service.name):
                    for entry in sorted(os.scandir(service.path), key=lambda entry: entry.name):
                        if _NAME.fullmatch(entry.name):
                            yield f"{service.name}/{entry.name}", Path(entry.path)

    def _new(self, name: str, path: Path) -> list[LogLine]:
        place = self._ahead.setdefault(name, _Place(0, 0))
        try:
            with path.open("rb") as file:
                info = os.fstat(file.fileno())
                if place.inode not in (0, info.st_ino):
                    return self._rest_of_turned(name, path, place)
                cut = place.offset > info.st_size  # copytruncate
                if cut or _tail(file.fileno(), place.offset) != place.tail:
                    place.start(info.st_ino)
                place.identify(info)
                if place.offset == info.st_size:
                    return []
                return self._lines(name, place, file.fileno(), info.st_size)
        except OSError:
            return []

    def _rest_of_turned(self, name: str, path: Path, place: _Place) -> list[LogLine]:
        """The file was turned since: its rest first, then the newer ones in turn."""
        older = [path.with_name(f"{path.name}.{number}") for number in range(_TURNED, 0, -1)]
        chain = [file for file in (*older, path) if file.exists()]
        found_files = [file.stat() for file in chain]
        inodes = [found.st_ino for found in found_files]
        if place.inode not in inodes:  # deleted, or compressed: its rest can't be had any more
            self.missed(name.partition("/")[0])
            newer = [f.st_ino for f in found_files if f.st_mtime_ns > place.changed]
            place.start((newer or inodes[-1:])[0])
        at = inodes.index(place.inode)
        with chain[at].open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = self._lines(name, place, file.fileno(), size, last=True)
        if place.offset >= size and at + 1 < len(chain):
            place.start(inodes[at + 1])
        return found

    def _lines(
        self, name: str, place: _Place, file: int, size: int, *, last: bool = False
    ) -> list[LogLine]:
        """Whole lines from the place on; `last` says that nothing more will come to this file."""
        data = os.pread(file, min(_BLOCK, size - place.offset), place.offset)
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONGEST:
            cut = _LONGEST
        elif not cut and last:
            cut = len(data)
        service, _, rest = name.partition("/")
        match = _NAME.fullmatch(rest)
        if not cut or match is None:
            return []
        found = []
        at, now = place.offset, self.clock.wall()
        for raw in data[:cut].splitlines(keepends=True)[: self._room]:
            at += len(raw)
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            found.append(
                LogLine(
                    time=now, service=service, process=int(match["process"]),
                    stream=match["stream"], text=text, at=at,
                )
            )  # fmt: skip
        done, end = self._joined(service, place, found, size, last=last and at == size)
        place.advance(end, _tail(file, end))
        return done

    def _joined(
        self, service: str, place: _Place, found: list[LogLine], size: int, *, last: bool
    ) -> tuple[list[LogLine], int]:
        """Lines that belong together as one, and where they end; the last one waits for more."""
        pattern, end = self.multiline(service), found[-1].at
        if not pattern:
            return found, end
        start = re.compile(pattern)
        done, held = join_lines(found, start, None)
        if held is None:
            return done, end
        if place.wait_for_more(size) or last or end - place.offset >= _BLOCK // 2:
            return [*done, held], end
        first = [line for line in found if start.search(line.text)]
        before = next((line.at for line in reversed(found) if first and line.at < first[-1].at), 0)
        return done, before or place.offset


def _tail(file: int, offset: int) -> str:
    length = min(offset, _TAIL)
    return os.pread(file, length, offset - length).hex()


def multiline_of(config: Mapping[str, Any], service: str) -> str:
    """The pattern that the running configuration has for a service."""
    own = (config.get("service", {}).get(service) or {}).get("log") or {}
    return str(own.get("multiline", config.get("log", {}).get("multiline", "")))
