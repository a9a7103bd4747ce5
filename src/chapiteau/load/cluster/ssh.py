"""Relays at the other end of a pipe: on this machine, or behind ssh.

ssh brings who may, who it is and what nobody else can read; the relay is its remote command, and
its stdin and stdout are the line. No port is opened, no key is made, nothing is left running: when
the line ends, so does the relay.
"""

import asyncio
import contextlib
import shlex
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.json_lines import FrameError
from chapiteau.load.workers.messages import (
    End,
    Lost,
    Order,
    Report,
    Stop,
    encode_message,
    report_reader,
)

__all__ = ["MODULE", "PipeCluster", "local_relays", "ssh_command", "ssh_relays"]

MODULE: Final = "chapiteau.load.cluster.relay"
_GOODBYE: Final = 20.0  # seconds for tear-downs
_LAST_WORDS: Final = 5  # lines of stderr that say why a line was lost


def local_relays(names: Sequence[str]) -> "PipeCluster":
    """Relays on this machine: to try a distributed test without another one."""
    return PipeCluster({name: [sys.executable, "-m", MODULE] for name in names})


def ssh_relays(hosts: Sequence[str], command: str, python: str) -> "PipeCluster":
    """One relay for each host; `command` is how ssh is called, `python` the one over there."""
    remote = f"exec {shlex.quote(python)} -m {MODULE}"
    words = ssh_command(command)
    return PipeCluster({host: [*words, "--", host, remote] for host in hosts})


def ssh_command(command: str) -> list[str]:
    """How ssh is called, and that nobody is there who could answer its questions."""
    # BatchMode: a question for a password would hang behind the progress line.
    options = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
    return [*shlex.split(command), *options]


class PipeCluster:
    """A process for each host, that takes orders on stdin and reports on stdout.

    `ready` is done before the first of them; it raises ChapiteauError when a host can't be used.
    """

    def __init__(
        self, commands: dict[str, list[str]], ready: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._commands = commands
        self._ready = ready
        self._lines: dict[str, asyncio.subprocess.Process] = {}
        self._words: dict[str, deque[str]] = {}
        self._events: asyncio.Queue[tuple[str, Report]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    async def hosts(self) -> Sequence[str]:
        """As they were given."""
        if self._ready is not None:
            await self._ready()
        return list(self._commands)

    async def launch(self, host: str, order: Order) -> None:
        """Write a line; the first one starts the process."""
        line = self._lines.get(host) or await self._open(host)
        if line.stdin is not None:
            with contextlib.suppress(ConnectionError):
                line.stdin.write(encode_message(order))
                await line.stdin.drain()

    async def _open(self, host: str) -> asyncio.subprocess.Process:
        argv = self._commands[host]
        try:
            line = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Ctrl-C is ours to understand: the relays are told.
                start_new_session=True,
            )
        except OSError as exc:
            raise ChapiteauError(f"{argv[0]}: {exc.strerror}", hint="is it installed?") from exc
        self._lines[host] = line
        self._words[host] = deque(maxlen=_LAST_WORDS)
        words = asyncio.create_task(self._listen(host, line))
        read = asyncio.create_task(self._read(host, line, words))
        self._tasks |= {words, read}
        return line

    async def _read(
        self, host: str, line: asyncio.subprocess.Process, words: asyncio.Task[None]
    ) -> None:
        assert line.stdout is not None  # noqa: S101 — asked for above
        reader = report_reader()
        why = ""
        try:
            while data := await line.stdout.read(1 << 16):
                for report in reader.feed(data):
                    self._events.put_nowait((host, report))
        except FrameError as exc:
            why = f"it said something else than reports: {exc.what}"
        await words
        if not self._ending:
            code = await line.wait()
            why = why or " · ".join(self._words[host]) or f"its line ended with {code}"
            self._events.put_nowait((host, Lost(why)))

    async def _listen(self, host: str, line: asyncio.subprocess.Process) -> None:
        assert line.stderr is not None  # noqa: S101 — asked for above
        async for data in line.stderr:
            text = data.decode("utf-8", "replace").rstrip()
            self._words[host].append(text)
            sys.stderr.write(f"{host}: {text}\n")

    async def events(self) -> AsyncIterator[tuple[str, Report]]:
        """As they come."""
        while True:
            yield await self._events.get()

    async def stop(self, turn: int) -> None:
        """A word to each."""
        for host in list(self._lines):
            await self.launch(host, Stop(turn))

    async def close(self) -> None:
        """Let each tear down and leave; end the lines of those that don't."""
        self._ending = True
        for host in list(self._lines):
            await self.launch(host, End(leave=True))
        lines = list(self._lines.values())
        waits = [asyncio.create_task(line.wait()) for line in lines]
        if waits:
            await asyncio.wait(waits, timeout=_GOODBYE)
        for line in lines:
            if line.returncode is None:
                line.kill()
                await line.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lines.clear()
