"""Line mode: a service's output once more, line by line, with time, service and process.

The raw capture stays the truth; this reads what it took. `place` remembers how far, so that the
next brain goes on from there: no line is ever lost, and a brain that is killed in the middle may
at worst write its last chunk twice.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.datagrams import DatagramSender
from chapiteau.run.logs.line_format import (
    format_journal,
    format_json,
    format_syslog,
    join_lines,
    json_head,
    json_rest,
    line_prefix,
)
from chapiteau.run.logs.messages import LogLine, OutputStream
from chapiteau.run.logs.rotation import Rotation

__all__ = ["LineLog", "RawLogReader"]

_PLACE: Final = struct.Struct("<QQ")  # inode and offset of the raw file
_RETRY: Final = 1.0
_CHECK_EVERY: Final = 1.0  # seconds between checks whether the file was moved away
_JOIN_WAIT: Final = 0.3  # seconds that a line waits for its continuation
_LONGEST: Final = 16 * 1024  # bytes of one line; what is longer goes on in the next
_PIECE: Final = 128 << 10  # bytes looked at in one go: they and their copies fit the caches
_JOURNAL: Final = "/run/systemd/journal/socket"


class LineLog:
    """Where the lines of one service go: its file, and syslog or journald beside it."""

    def __init__(
        self,
        service: str,
        path: Path,
        rule: Logs,
        clock: Clock,
        on_drop: Callable[[int, str], None],
    ) -> None:
        self.rule = rule
        self._service = service
        self._on_drop = on_drop
        self.path, self._clock = path, clock
        self._rotation = Rotation(rule)
        self._file, self._size, self._retry_at, self._check_at = -1, 0, 0.0, 0.0
        self._torn = False  # whether the file ends amid a line
        self._gap = 0  # bytes that were to stand in the file, and are told nowhere in it yet
        self.node = socket.gethostname()
        self._out: list[tuple[DatagramSender, bool]] = []
        for target, journal in ((rule.syslog, False), (rule.journald and _JOURNAL, True)):
            if target:
                made = DatagramSender(str(target), clock, on_drop, journal=journal)
                self._out.append((made, journal))

    @property
    def plain(self) -> bool:
        """Only a time stamp before each line: bytes need not be looked at one by one."""
        return self.rule.format == "text" and not self.rule.multiline and not self._out

    @property
    def flat(self) -> bool:
        """JSON, and each line by itself, for the file alone."""
        return self.rule.format == "json" and not self.rule.multiline and not self._out

    def write(self, data: bytes) -> None:
        """Whole lines into the file. A file that can't be written costs the lines, not us."""
        now = self._clock.now()
        if self.rule.file == "none":
            return
        if self._file >= 0 and now >= self._check_at:
            self._check_path(now)
        if self._file < 0 and not self._open(now):
            self._drop(len(data), "the log file can't be written")
            return
        if self._gap and not self._put(self._gap_note(), now, told=True):
            self._drop(len(data), "the log file can't be written")
            return
        if not self._put(data, now):
            return
        if self._rotation.due(self._size, self._clock.wall()):
            self._check_path(now)
            if self._file < 0:  # another service that writes to it has just rotated it
                return
            try:
                self._rotation.rotate(self.path, self._file, self._size, b"")
            except OSError:
                self._rotation.postpone(self._clock.wall())
                return
            self._close()

    def _put(self, data: bytes, now: float, *, told: bool = False) -> bool:
        """Write it; whether it could be. `told`: the gap is no gap any more then."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as exc:
            if len(view) < len(data):
                self._torn = data[-len(view) - 1 : -len(view)] != b"\n"
            self._drop(0 if told else len(view), exc.strerror or str(exc))
            self._close()
            self._retry_at = now + _RETRY
            return False
        self._size += len(data)
        if told:
            self._gap, self._torn = 0, False
        return True

    def _drop(self, lost: int, why: str) -> None:
        self._gap += lost
        self._on_drop(lost, why)

    def _gap_note(self) -> bytes:
        """A line of its own, also where the one before has lost its end."""
        text = f"[chapiteau: {self._gap} bytes of lines were dropped here]"
        now, service = self._clock.wall(), self._service
        line = LogLine(time=now, service=service, process=0, stream="stdout", text=text)
        made = format_json(line, self.node) + "\n" if self.rule.format == "json" else _text(line)
        return (f"\n{made}" if self._torn else made).encode()

    def lines(self, found: list[LogLine]) -> None:
        """Lines that were looked at one by one."""
        if self.rule.format == "json":
            self.write("".join(format_json(line, self.node) + "\n" for line in found).encode())
        else:
            self.write("".join(_text(line) for line in found).encode("utf-8", "replace"))
        for line in found:
            for out, journal in self._out:
                out.send(format_journal(line) if journal else format_syslog(line, self.node))

    def _open(self, now: float) -> bool:
        if now < self._retry_at:
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o640)
        except OSError as exc:
            self._on_drop(0, exc.strerror or str(exc))
            self._retry_at = now + _RETRY
            return False
        self._size = os.fstat(self._file).st_size
        self._check_at = now + _CHECK_EVERY
        return True

    def _check_path(self, now: float) -> None:
        """Somebody may have moved the file away, or writes to it too: another service, say."""
        self._check_at = now + _CHECK_EVERY
        mine = os.fstat(self._file)
        self._size = mine.st_size
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == mine.st_ino:
                return
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def reopen(self) -> None:
        """Open the path anew at the next line."""
        self._close()

    def close(self) -> None:
        """Close file and sockets."""
        self._close()
        for out, _ in self._out:
            out.close()


class RawLogReader:
    """Reads one raw stream on behalf of a LineLog; `feed` hears of new bytes."""

    def __init__(self, log: LineLog, stream: OutputStream, raw: Path, clock: Clock) -> None:
        self._log, self._raw, self._clock, self._stream = log, raw, clock, stream
        self._facts = (stream.service, stream.process, stream.name)
        self._rest = b""
        self._held: LogLine | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start = re.compile(log.rule.multiline) if log.rule.multiline else None
        self._place = os.open(
            raw.with_name(raw.name + ".place"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        self._catch_up()

    def _catch_up(self) -> None:
        """What was taken while no brain, or an earlier one, had not written it yet."""
        kept = os.pread(self._place, _PLACE.size, 0)
        if len(kept) < _PLACE.size:  # the first time: what is older was never ours to write
            self._remember()
            return
        inode, offset = _PLACE.unpack(kept)
        for path in (self._raw.with_name(self._raw.name + ".1"), self._raw):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if os.fstat(file.fileno()).st_ino == inode:
                    file.seek(offset)
                elif path != self._raw:
                    continue
                while data := file.read(1 << 20):
                    self._take(data)
        self._remember()

    def feed(self, data: bytes) -> None:
        """New bytes have come."""
        for begin in range(0, len(data), _PIECE):
            self._take(data[begin : begin + _PIECE])
        self._remember()

    def _take(self, data: bytes) -> None:
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONGEST:
            data, cut = data[:_LONGEST] + b"\n" + data[_LONGEST:], _LONGEST + 1
        whole, self._rest = data[:cut], data[cut:]
        if not whole:
            return
        wall = self._clock.wall()
        if self._log.plain:
            prefix = line_prefix(wall, *self._facts).encode()
            self._log.write(prefix + whole[:-1].replace(b"\n", b"\n" + prefix) + b"\n")
            return
        if self._log.flat:
            head = json_head(wall, self._log.node, *self._facts)
            made = "".join([f"{head}{json_rest(text)}\n" for text in _texts(whole)])
            self._log.write(made.encode())
            return
        lines = [self._stream.line(wall, text) for text in _texts(whole)]
        if self._start is not None:
            lines, self._held = join_lines(lines, self._start, self._held)
            self._wait_for_more()
        if lines:
            self._log.lines(lines)

    def _wait_for_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_JOIN_WAIT, self._flush_held)

    def _flush_held(self) -> None:
        if self._held is not None:
            self._log.lines([self._held])
            self._held = None

    def _remember(self) -> None:
        with contextlib.suppress(OSError):
            info = self._raw.stat()
            offset = info.st_size - len(self._rest)
            os.pwrite(self._place, _PLACE.pack(info.st_ino, max(0, offset)), 0)

    def close(self) -> None:
        """Write what is held and let go."""
        if self._timer is not None:
            self._timer.cancel()
        self._flush_held()
        os.close(self._place)


def _texts(data: bytes) -> list[str]:
    return [raw.decode("utf-8", "replace") for raw in data.splitlines()]


def _text(line: LogLine) -> str:
    prefix = line_prefix(line.time, line.service, line.process, line.stream)
    return prefix + line.text.replace("\n", "\n  ") + "\n"
