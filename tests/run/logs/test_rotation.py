"""A log file makes room; whatever fails meanwhile, no byte is lost and the file goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.rotation import Rotation

WHOLE = b"one\ntwo\nbeg"


@pytest.mark.parametrize("call", range(1, 8))
def test_a_disk_that_fails_at_any_call_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    path = tmp_path / "1.log"
    path.write_bytes(WHOLE)
    (tmp_path / "1.log.1").write_bytes(b"older\n")
    rotation = Rotation(Logs(max_size=1, keep=3))
    handle = os.open(path, os.O_RDWR)
    _fail_at(monkeypatch, call)
    try:
        rotation.rotate(path, handle, 8, b"beg")
        rotated = True
    except OSError:
        rotated = False
        rotation.postpone(1000.0)
    monkeypatch.undo()
    os.close(handle)
    assert rotated == (call > 4), "it takes five calls: open, three of rename, and the cut"
    kept = b"".join(p.read_bytes() for p in sorted(tmp_path.iterdir(), reverse=True))
    doubled = b"beg" if call == 5 else b""  # the cut failed: better twice than never
    assert kept == b"older\n" + WHOLE + doubled
    assert path.exists()
    assert not rotation.due(100, 1001.0) or rotated
    assert rotation.due(100, 1011.0), "ten seconds later it is tried again"
    assert rotation.due(100, 1.0), "also when the clock was set back meanwhile"


def _fail_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    left = [call]

    def counted(real: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return wrapped

    for name in ("rename", "ftruncate"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    for name in ("open",):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


@pytest.mark.parametrize(("size", "total"), [(1000, 3500), (1 << 20, 3000)])
def test_a_total_counts_the_file_that_is_written_too(tmp_path: Path, size: int, total: int) -> None:
    """Also where the file alone might grow beyond it: `max_size` is 50 MiB unless one says so."""
    path = tmp_path / "1.log"
    rotation = Rotation(Logs(max_size=size, max_total=total, keep=100))
    largest = rotated = written = 0
    path.touch()
    for _ in range(200):
        with path.open("ab") as stream:
            stream.write(b"x" * 99 + b"\n")
            written = stream.tell()
            if rotation.due(written, 1000.0):
                rotation.rotate(path, stream.fileno(), written, b"")
                rotated += 1
        largest = max(largest, sum(p.stat().st_size for p in tmp_path.iterdir()))
    assert largest <= total + 100
    assert rotated > 3
    assert largest > total * 0.7, "and the room is used"
