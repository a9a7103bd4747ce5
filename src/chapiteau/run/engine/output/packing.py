"""Compresses the log files that were turned, in a thread, while others are being turned."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["SUFFIXES", "has_zstd", "names", "numbered", "numbered_files", "pack"]

SUFFIXES: Final = ("", ".gz", ".zst")
_BLOCK: Final = 1 << 20
names = threading.RLock()  # numbers change under it, so that a file is what its name says


def numbered(path: Path, number: int) -> Path:
    """The file that was turned `number` times ago."""
    return path.with_name(f"{path.name}.{number}")


def numbered_files(path: Path, most: int) -> Iterator[tuple[int, Path]]:
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


def pack(path: Path, keep: int, kind: str) -> None:
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
            with names:
                plain = [
                    old
                    for number, old in numbered_files(path, keep)
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
    with names:
        for _, old in numbered_files(path, keep):
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
