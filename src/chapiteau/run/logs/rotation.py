"""When a log file is full or old, and how it makes room: FILE → FILE.1 → FILE.2 …"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from chapiteau.run.config.spec import Logs

__all__ = [
    "SUFFIXES",
    "Rotation",
    "compress_rotated",
    "has_zstd",
    "rename_lock",
    "rotated_files",
    "rotated_path",
]


# Compresses the log files that were turned, in a thread, while others are being turned.

SUFFIXES: Final = ("", ".gz", ".zst")
_BLOCK: Final = 1 << 20
rename_lock = threading.RLock()  # numbers change under it, so that a file is what its name says


def rotated_path(path: Path, number: int) -> Path:
    """The file that was turned `number` times ago."""
    return path.with_name(f"{path.name}.{number}")


def rotated_files(path: Path, most: int) -> Iterator[tuple[int, Path]]:
    """Every one that is there, the newest first."""
    for number in range(1, most + 1):
        for suffix in SUFFIXES:
            old = path.with_name(f"{path.name}.{number}{suffix}")
            if old.exists():
                yield number, old


def has_zstd() -> bool:
    """Whether the library that writes .zst is installed."""
    try:
        import zstandard  # noqa: F401 — the extra `compress`
    except ImportError:
        return False
    return True


def compress_rotated(path: Path, keep: int, kind: str) -> None:
    """Compress every turned file that is not, oldest first, until there is none.

    The newest one stays as it is: it is still read, by `logs`, by plugins, and for last words.
    """
    if kind == "zstd" and not has_zstd():
        kind = "gzip"
        hint = "pip install 'chapiteau[compress]'"
        print(f"{path}: zstd is not installed, so it is gzip ({hint})", file=sys.stderr)  # noqa: T201 — the supervisor's log
    with contextlib.suppress(OSError):
        for left in path.parent.glob(f"{path.name}.*.tmp"):  # of a brain that was killed over it
            left.unlink()
        while True:
            with rename_lock:
                plain = [
                    old
                    for number, old in rotated_files(path, keep)
                    if number > 1 and old.suffix not in SUFFIXES[1:]
                ]
                source = plain[-1].open("rb") if plain else None
            if source is None:
                return
            with source:
                _pack_one(path, keep, source, kind)


def _pack_one(path: Path, keep: int, source: BinaryIO, kind: str) -> None:
    """The file may get another number meanwhile: it is found again by its inode."""
    inode = os.fstat(source.fileno()).st_ino
    suffix = ".zst" if kind == "zstd" else ".gz"
    draft = path.with_name(f"{path.name}.{inode}{suffix}.tmp")
    _compress(source, draft, kind)
    changed = os.fstat(source.fileno()).st_mtime_ns
    os.utime(draft, ns=(changed, changed))  # when its last line came
    with rename_lock:
        for _, old in rotated_files(path, keep):
            if old.stat().st_ino == inode:
                draft.rename(old.with_name(old.name + suffix))
                old.unlink()
                return
        draft.unlink()  # it was too old to be kept


def _compress(source: BinaryIO, draft: Path, kind: str) -> None:
    if kind == "zstd":
        import zstandard

        with draft.open("wb") as target:
            zstandard.ZstdCompressor(level=6, write_checksum=True).copy_stream(source, target)
        return
    import gzip
    import shutil

    with gzip.open(draft, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, _BLOCK)


_POSTPONE = 10.0
_LEAST = 1 << 16


class Rotation:
    """The rule of [log] for one file."""

    def __init__(self, rule: Logs) -> None:
        self._rule = rule
        self._most = min(rule.max_size, rule.max_total // 2 or rule.max_size)
        self._past = rule.max_total - self._most  # bytes of turned files, where there is a cap
        self._since = 0.0
        self._not_before = 0.0
        self._packer: threading.Thread | None = None

    def due(self, size: int, wall: float) -> bool:
        """Whether the file should be turned now."""
        self._since = min(self._since or wall, wall)  # a clock that was set back starts it anew
        if wall < self._not_before <= wall + _POSTPONE:
            return False
        old = self._rule.max_age and wall - self._since >= self._rule.max_age
        return bool(size >= self._most or (old and size))

    def postpone(self, wall: float) -> None:
        """It failed: try again in ten seconds."""
        self._not_before = wall + _POSTPONE

    def rotate(self, path: Path, handle: int, cut: int, begun: bytes) -> None:
        """Make `path` a new file that starts with `begun`, and the old one FILE.1, cut at `cut`.

        The new file is in its place before the old one is cut: whenever we die, every byte stands
        in one of them. Raises OSError; then `path` is what it was.
        """
        draft = path.with_name(path.name + ".new")
        try:
            with draft.open("wb") as stream:
                stream.write(begun)
            self._shift(path)
            path.rename(rotated_path(path, 1))
            try:
                draft.rename(path)
            except OSError:
                rotated_path(path, 1).rename(path)
                raise
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        if begun:
            with contextlib.suppress(OSError):  # then the begun line stands in both
                os.ftruncate(handle, cut)
        self._since = 0.0
        self._tidy(path)

    def room(self, size: int) -> int:
        """Bytes that the file should still take before it is turned; never fewer than 64 KiB."""
        return max(_LEAST, self._most - size)

    def _shift(self, path: Path) -> None:
        with rename_lock:
            for number in range(self._rule.keep, 0, -1):
                for suffix in SUFFIXES:
                    old = path.with_name(f"{path.name}.{number}{suffix}")
                    if old.exists():
                        old.rename(path.with_name(f"{path.name}.{number + 1}{suffix}"))

    def _tidy(self, path: Path) -> None:
        total = 0
        with rename_lock:
            for number, old in rotated_files(path, self._rule.keep + 1):
                total += old.stat().st_size
                over = self._rule.max_total and total > self._past
                if number > self._rule.keep or over:
                    old.unlink()
        packs = self._rule.compress != "none"
        if packs and (self._packer is None or not self._packer.is_alive()):
            # The compressors let go of the interpreter: the loop keeps moving output meanwhile.
            words = (path, self._rule.keep, self._rule.compress)
            self._packer = threading.Thread(target=compress_rotated, args=words, daemon=True)
            self._packer.start()
