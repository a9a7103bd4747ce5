"""One kept file of a stream, read in pieces of whole lines: from its end, or from its beginning."""

import bisect
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedIOBase, FileIO
from pathlib import Path
from typing import BinaryIO, Final, cast

from chapiteau.run.engine.output.packing import SUFFIXES, names, numbered
from chapiteau.run.engine.output.shelf.past import Mark, Past

__all__ = ["UNREADABLE", "Shelf", "Times", "Volume", "backwards", "forwards", "unpacked"]

_BLOCK: Final = 1 << 16
_LONGEST: Final = 1 << 20  # bytes without an end of line that are taken as one


class Times:
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
class Volume:
    """An open file. `size` is of what counts in it; unknown (-1) of a packed one."""

    turn: int
    name: str
    file: FileIO
    size: int
    times: Times

    @property
    def packed(self) -> str:
        """ ".gz", ".zst", or nothing."""
        return next((s for s in SUFFIXES[1:] if self.name.endswith(s)), "")


class Shelf:
    """The files of one stream as they are now. Turning and packing them meanwhile changes nothing.

    None is open yet: a hundred streams with six files each would be many descriptors.
    """

    def __init__(self, path: Path, past: Past, size: int, marks: Sequence[Mark]) -> None:
        self._path, self._past = path, past
        self._size, self._marks = size, tuple(marks)
        self.turn = past.turned
        self.size = size

    def turns(self) -> range:
        """The files that are there, newest first."""
        with names:
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
    def open(self, turn: int) -> Iterator[Volume | None]:
        """The file of that turn; None when it is gone."""
        volume = self._open(turn)
        try:
            yield volume
        finally:
            if volume is not None:
                volume.file.close()

    def _open(self, turn: int) -> Volume | None:
        with names:
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
                times = Times(marks, found.st_mtime)
                return Volume(turn, place.name, file, -1 if packed else size, times)
        return None


def _places(path: Path, number: int) -> list[Path]:
    plain = numbered(path, number)
    return [plain.with_name(plain.name + suffix) for suffix in SUFFIXES]


def backwards(file: FileIO, end: int) -> Iterator[tuple[int, bytes]]:
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


def forwards(
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
def unpacked(volume: Volume) -> Iterator[BinaryIO]:
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
