"""How often a stream's file was turned, and when the bytes of the older ones came.

Kept in a small file beside them, so that a new brain knows it too. Turn 3 is the file that came
after three turns; it keeps this number while its name goes from FILE to FILE.1, FILE.2.gz …
"""

import bisect
import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedIOBase, FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

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

_MARKS: Final = 500  # kept of one older file
_TURNS: Final = 100  # of which marks are kept


class RotationHistory:
    """Of one stream. Read when first asked for: most streams are never turned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turned = -1
        self._marks: dict[int, list[Mark]] = {}

    @property
    def _file(self) -> Path:
        return self._path.with_name(f".{self._path.name}.past")

    @property
    def turned(self) -> int:
        """How often the file was turned so far."""
        self.learn()
        return self._turned

    def learn(self) -> None:
        """Read what is known, once: before the next turn at the latest."""
        if self._turned < 0:
            self._load()

    def marks(self, turn: int) -> Sequence[Mark]:
        """When the bytes of an older file came; empty when that is not known."""
        return self._marks.get(turn, ()) if self.turned >= 0 else ()

    def add(self, marks: Sequence[Mark]) -> None:
        """The file has just been turned; `learn` came before that. A full disk is no matter."""
        self._marks[self._turned] = thin_marks(list(marks), _MARKS)
        self._turned += 1
        for turn in [turn for turn in self._marks if turn < self._turned - _TURNS]:
            del self._marks[turn]
        with contextlib.suppress(OSError):
            facts = {"turned": self._turned, "inode": self._inode(), "marks": self._marks}
            write_atomic(self._file, json.dumps(facts).encode(), mode=0o640)

    def _load(self) -> None:
        self._turned = 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            facts: dict[str, Any] = json.loads(self._file.read_bytes())
            marks = {
                int(turn): [(int(offset), float(time)) for offset, time in pairs]
                for turn, pairs in facts["marks"].items()
            }
            # Turned, and killed before it could be written down?
            missed = self._path.exists() and self._inode() != facts["inode"]
            self._turned, self._marks = int(facts["turned"]) + missed, marks

    def _inode(self) -> int:
        return self._path.stat().st_ino


def thin_marks(marks: list[Mark], most: int) -> list[Mark]:
    """At most so many, the later half finer: recent times are asked for most."""
    while len(marks) > most:
        half = (len(marks) + 1) // 2
        marks = marks[:half:2] + marks[half:] if len(marks) < 2 * most else marks[::2]
    return marks


# One kept file of a stream, read in pieces of whole lines: from its end, or from its beginning.

_BLOCK: Final = 1 << 16
_LONGEST: Final = 1 << 20  # bytes without an end of line that are taken as one


class ArrivalTimes:
    """When the byte at an offset came. What came before the first mark came by then, at least."""

    def __init__(self, marks: Sequence[Mark], changed: float) -> None:
        self._offsets = [offset for offset, _ in marks]
        self._times = [time for _, time in marks] or [changed]

    def at(self, offset: int) -> float:
        """Seconds since 1970."""
        return self._times[max(0, bisect.bisect_right(self._offsets, offset) - 1)]

    def end_before(self, until: float, size: int) -> int:
        """From which offset on everything came later than `until`; `size` when nothing did."""
        late = bisect.bisect_right(self._times, until)
        return self._offsets[late] if self._offsets and late < len(self._offsets) else size


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """An open file. `size` is of what counts in it; unknown (-1) of a packed one."""

    turn: int
    name: str
    file: FileIO
    size: int
    times: ArrivalTimes

    @property
    def packed(self) -> str:
        """ ".gz", ".zst", or nothing."""
        return next((s for s in SUFFIXES[1:] if self.name.endswith(s)), "")


class LogArchive:
    """The files of one stream as they are now. Turning and packing them meanwhile changes nothing.

    None is open yet: a hundred streams with six files each would be many descriptors.
    """

    def __init__(self, path: Path, past: RotationHistory, size: int, marks: Sequence[Mark]) -> None:
        self._path, self._past = path, past
        self._size, self._marks = size, tuple(marks)
        self.turn = past.turned
        self.size = size

    def turns(self) -> range:
        """The files that are there, newest first."""
        with rename_lock:
            found = [0]
            there: list[str] = []
            with suppress(OSError):  # no folder before the first output
                there = [entry.name for entry in os.scandir(self._path.parent)]
            for name in there:
                number = name.removeprefix(f"{self._path.name}.").partition(".")[0]
                if name.startswith(f"{self._path.name}.") and number.isdigit():
                    found.append(int(number))
            return range(self.turn, self._past.turned - max(found) - 1, -1)

    @contextmanager
    def open(self, turn: int) -> Iterator[ArchivedFile | None]:
        """The file of that turn; None when it is gone."""
        volume = self._open(turn)
        try:
            yield volume
        finally:
            if volume is not None:
                volume.file.close()

    def _open(self, turn: int) -> ArchivedFile | None:
        with rename_lock:
            number = self._past.turned - turn
            places = [self._path] if number == 0 else _places(self._path, number)
            for place in places:
                try:
                    file = FileIO(place)
                except OSError:
                    continue
                found = os.fstat(file.fileno())
                newest = turn == self.turn
                marks = self._marks if newest else self._past.marks(turn)
                size = min(self._size, found.st_size) if newest else found.st_size
                packed = place.suffix in SUFFIXES[1:]
                times = ArrivalTimes(marks, found.st_mtime)
                return ArchivedFile(turn, place.name, file, -1 if packed else size, times)
        return None


def _places(path: Path, number: int) -> list[Path]:
    plain = rotated_path(path, number)
    return [plain.with_name(plain.name + suffix) for suffix in SUFFIXES]


def read_backwards(file: FileIO, end: int) -> Iterator[tuple[int, bytes]]:
    """(where it begins, its bytes) of each piece before `end`, the last one first."""
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
    source: BinaryIO | BufferedIOBase, most: int = -1, on: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, bytes]]:
    """The same from the beginning, up to `most` bytes. `on` is called before each read."""
    rest, at = b"", 0
    while True:
        on()
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


@contextmanager
def decompressed(volume: ArchivedFile) -> Iterator[BinaryIO]:
    """Its content. Raises one of UNREADABLE."""
    if volume.packed == ".gz":
        import gzip

        with gzip.GzipFile(fileobj=volume.file) as source:
            yield cast("BinaryIO", source)
    elif volume.packed == ".zst":
        try:
            import zstandard
        except ImportError:
            raise OSError("zstandard is not installed: pip install 'chapiteau[compress]'") from None
        try:
            with zstandard.ZstdDecompressor().stream_reader(volume.file, closefd=False) as found:
                yield cast("BinaryIO", found)
        except zstandard.ZstdError as exc:
            raise OSError(str(exc)) from exc
    else:
        yield cast("BinaryIO", volume.file)


UNREADABLE: Final[tuple[type[Exception], ...]] = (OSError, EOFError, zlib.error)
