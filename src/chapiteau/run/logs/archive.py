"""The files of one stream: the current one and the rotated ones, with the times of their bytes.

A file keeps its number while its name goes from FILE to FILE.1, FILE.2.gz …: file 3 is the one
that was begun by the third rotation.
"""

import bisect
import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, cast

from chapiteau.io.files import write_atomic
from chapiteau.run.logs.rotation import SUFFIXES, rename_lock, rotated_path

__all__ = [
    "UNREADABLE",
    "ArchivedFile",
    "ArrivalTimes",
    "LogArchive",
    "Mark",
    "RotationHistory",
    "decompressed",
    "read_backwards",
    "read_forwards",
    "thin_marks",
]

Mark = tuple[int, float]  # offset in the file, wall time

UNREADABLE: Final[tuple[type[Exception], ...]] = (OSError, EOFError, zlib.error)
_MARKS: Final = 500  # kept of one rotated file
_FILES: Final = 100  # of which marks are kept
_BLOCK: Final = 1 << 16
_LONGEST: Final = 1 << 20  # bytes without an end of line that are taken as one


class RotationHistory:
    """How often a stream's file was rotated, and when the bytes of the older ones came.

    Kept in a file beside them for the next brain. Read when first asked for: most streams are
    never rotated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rotations = -1
        self._marks: dict[int, list[Mark]] = {}

    @property
    def _file(self) -> Path:
        return self._path.with_name(f".{self._path.name}.past")

    @property
    def rotations(self) -> int:
        """How often the file was rotated so far; also the number of the current file."""
        self.load()
        return self._rotations

    def marks(self, number: int) -> Sequence[Mark]:
        """When the bytes of a rotated file came; empty when that is not known."""
        self.load()
        return self._marks.get(number, ())

    def add(self, marks: Sequence[Mark]) -> None:
        """The file has just been rotated; `load` came before. A full disk is no matter."""
        self._marks[self._rotations] = thin_marks(list(marks), _MARKS)
        self._rotations += 1
        for number in [n for n in self._marks if n < self._rotations - _FILES]:
            del self._marks[number]
        with contextlib.suppress(OSError):
            inode = self._path.stat().st_ino
            facts = {"turned": self._rotations, "inode": inode, "marks": self._marks}
            write_atomic(self._file, json.dumps(facts).encode(), mode=0o640)

    def load(self) -> None:
        """Read what is known, once: before the next rotation at the latest."""
        if self._rotations >= 0:
            return
        self._rotations = 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            facts = json.loads(self._file.read_bytes())
            marks = {
                int(number): [(int(offset), float(time)) for offset, time in pairs]
                for number, pairs in facts["marks"].items()
            }
            # Rotated, and killed before it could be written down?
            missed = self._path.exists() and self._path.stat().st_ino != facts["inode"]
            self._rotations, self._marks = int(facts["turned"]) + missed, marks


def thin_marks(marks: list[Mark], most: int) -> list[Mark]:
    """A limited number, the later half finer: recent times are asked for most."""
    while len(marks) > most:
        half = (len(marks) + 1) // 2
        marks = marks[:half:2] + marks[half:] if len(marks) < 2 * most else marks[::2]
    return marks


class ArrivalTimes:
    """When the byte at an offset came. What came before the first mark came by then, at least."""

    def __init__(self, marks: Sequence[Mark], changed: float) -> None:
        self._offsets = [offset for offset, _ in marks]
        self._times = [time for _, time in marks] or [changed]

    @property
    def last(self) -> float:
        """When the last bytes came."""
        return self._times[-1]

    def at(self, offset: int) -> float:
        """Seconds since 1970."""
        return self._times[max(0, bisect.bisect_right(self._offsets, offset) - 1)]

    def end_before(self, until: float, size: int) -> int:
        """From which offset on everything came later than `until`; `size` when nothing did."""
        late = bisect.bisect_right(self._times, until)
        return self._offsets[late] if self._offsets and late < len(self._offsets) else size


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """An open file. `size` counts the bytes to read; -1 (unknown) of a compressed one."""

    number: int
    name: str
    file: FileIO
    size: int
    times: ArrivalTimes

    @property
    def compressed(self) -> str:
        """ ".gz", ".zst", or nothing."""
        return next((s for s in SUFFIXES[1:] if self.name.endswith(s)), "")


class LogArchive:
    """The files of one stream as they are now; rotation and compression may go on meanwhile.

    None is open yet: a hundred streams with six files each would be many descriptors.
    """

    def __init__(
        self, path: Path, history: RotationHistory, size: int, marks: Sequence[Mark]
    ) -> None:
        self._path, self._history = path, history
        self._marks = tuple(marks)
        self.newest = history.rotations
        self.size = size

    def numbers(self) -> range:
        """Those of the files that are there, newest first."""
        prefix, found = f"{self._path.name}.", [0]
        with rename_lock:
            with contextlib.suppress(OSError):  # no folder before the first output
                for entry in os.scandir(self._path.parent):
                    age = entry.name.removeprefix(prefix).partition(".")[0]
                    if entry.name.startswith(prefix) and age.isdigit():
                        found.append(int(age))
            return range(self.newest, self._history.rotations - max(found) - 1, -1)

    @contextlib.contextmanager
    def open(self, number: int) -> Iterator[ArchivedFile | None]:
        """The file of that number; None when it is gone."""
        found = self._open(number)
        try:
            yield found
        finally:
            if found is not None:
                found.file.close()

    def _open(self, number: int) -> ArchivedFile | None:
        with rename_lock:
            age = self._history.rotations - number
            plain = rotated_path(self._path, age) if age else self._path
            suffixes = SUFFIXES if age else SUFFIXES[:1]
            for path in (plain.with_name(plain.name + suffix) for suffix in suffixes):
                try:
                    file = FileIO(path)
                except OSError:
                    continue
                size, marks = os.fstat(file.fileno()).st_size, self._history.marks(number)
                if number == self.newest:
                    size, marks = min(self.size, size), self._marks
                size = -1 if path.suffix in SUFFIXES[1:] else size
                times = ArrivalTimes(marks, os.fstat(file.fileno()).st_mtime)
                return ArchivedFile(number, path.name, file, size, times)
        return None


def read_backwards(file: FileIO, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of pieces of whole lines before `end`, the last one first."""
    rest, at = b"", end
    while at > 0:
        step = min(_BLOCK, at)
        at -= step
        data = os.pread(file.fileno(), step, at) + rest
        cut = 0
        if at and len(data) < _LONGEST:
            cut = data.find(b"\n") + 1
            if not 0 < cut < len(data):
                rest = data
                continue
        rest = data[:cut]
        yield at + cut, data[cut:]


def read_forwards(
    source: BinaryIO, most: int = -1, before_read: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, bytes]]:
    """The same from the beginning, up to `most` bytes."""
    rest, at = b"", 0
    while True:
        before_read()
        left = _BLOCK if most < 0 else min(_BLOCK, most - at - len(rest))
        data = source.read(left) if left > 0 else b""
        if not data:
            break
        data = rest + data
        cut = data.rfind(b"\n") + 1 or (len(data) if len(data) > _LONGEST else 0)
        if cut:
            yield at, data[:cut]
        at, rest = at + cut, data[cut:]
    if rest:
        yield at, rest


@contextlib.contextmanager
def decompressed(found: ArchivedFile) -> Iterator[BinaryIO]:
    """Its content. Raises one of UNREADABLE."""
    if found.compressed == ".gz":
        import gzip

        with gzip.GzipFile(fileobj=found.file) as source:
            yield cast("BinaryIO", source)
    elif found.compressed == ".zst":
        try:
            import zstandard
        except ImportError:
            raise OSError("zstandard is not installed: pip install 'chapiteau[compress]'") from None
        try:
            with zstandard.ZstdDecompressor().stream_reader(found.file, closefd=False) as stream:
                yield cast("BinaryIO", stream)
        except zstandard.ZstdError as exc:
            raise OSError(str(exc)) from exc
    else:
        yield cast("BinaryIO", found.file)
