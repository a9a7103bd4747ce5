"""On each machine: takes orders on stdin, runs load processes, reports on stdout.

Started as `python -m chapiteau.load.cluster.relay`, by ssh or by a Dask task. Its
load ends when stdin does, when the coordinator has been silent for too long, and at the plan's end,
which each step brings along: a lost coordinator leaves no load behind.
"""

import asyncio
import os
import signal
import sys
import time
from importlib.metadata import version
from typing import Final, NoReturn

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.cluster.shipping import LockedFolder, unpack_scenario
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.frames import Frame, encode_frame
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import (
    Bye,
    Go,
    Greeting,
    Over,
    Prepare,
    Ready,
    Report,
    Second,
    Setup,
    Shared,
    encode_message,
    order_reader,
)
from chapiteau.load.workers.order_executor import OrderExecutor

__all__ = ["Relay", "main"]

SILENCE: Final = 15.0  # seconds without a word from the coordinator after which load ends


class _Pending:
    """What the load processes have counted since the last report."""

    def __init__(self) -> None:
        self._frame = Frame()

    def add(self, frame: Frame) -> None:
        """One process's second."""
        self._frame.add(frame)

    def take(self) -> bytes:
        """All of it as one frame; the next one begins."""
        frame, self._frame = self._frame, Frame()
        return encode_frame(frame)


class Relay(OrderExecutor):
    """One machine's part of a test."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: LocalWorkers | None = None
        self._folder: LockedFolder | None = None
        self._out = sys.stdout.buffer
        self._heard = asyncio.Event()

    def report(self, report: Report) -> None:
        """Tell the coordinator."""
        try:
            self._out.write(encode_message(report))
            self._out.flush()
        except OSError:
            self.abandon("")  # nobody listens

    def greet(self) -> None:
        """Say what this machine is."""
        self.report(Greeting(version("chapiteau"), len(os.sched_getaffinity(0))))

    async def setup(self, order: Setup) -> None:
        """Start the load processes; a second test on the same relay begins anew."""
        await self._leave()
        # A folder of its own: two tests on one machine never meet.
        self._folder = LockedFolder()
        plan = unpack_scenario(order, self._folder.path)
        self._workers = LocalWorkers(
            plan, order.processes, first=order.first, total=order.total, coordinated=True
        )
        await self._workers.set_up()
        self.report(Shared(self._workers.shared))

    async def prepare(self, order: Prepare) -> None:
        """Let them make themselves ready."""
        await self._at_work().prepare(order.shared)
        self.report(Ready())

    async def go(self, order: Go, *, stopped: bool) -> None:
        """A step, from the agreed moment on."""
        workers, pending = self._at_work(), _Pending()
        late = time.monotonic() - order.zero

        def second(number: int, counted: _Pending) -> bool:
            self.report(Second(number, counted.take()))
            return False

        if stopped:
            asyncio.get_running_loop().call_soon(workers.stop)
        try:
            async with asyncio.timeout_at(order.until):
                await workers.run(order.step, pending, second, zero=order.zero)
        except TimeoutError:
            self.abandon("the load was still on long after the end of its plan")
        self.report(Over(pending.take(), round(max(0.0, late), 6)))

    async def end(self) -> None:
        """Tear down, and say goodbye with what was amiss."""
        workers = self._workers
        await self._leave()
        self.report(Bye(workers.refused, workers.problems) if workers is not None else Bye([], []))

    def stop_step(self) -> None:
        """End the step under way."""
        if self._workers is not None:
            self._workers.stop()

    def reshape(self, shape: Shape) -> None:
        """Go on along another shape."""
        if self._workers is not None:
            self._workers.reshape(shape)

    def abandon(self, why: str) -> NoReturn:
        """End everything at once: nobody is there any more who would say when."""
        if why:
            sys.stderr.write(f"{why}: it ends here\n")
            sys.stderr.flush()
        if self._workers is not None:
            self._workers.kill()
        if self._folder is not None:
            self._folder.remove()
        os._exit(1 if why else 0)

    async def _leave(self) -> None:
        if self._workers is not None:
            await self._workers.close()
            self._workers = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def _at_work(self) -> LocalWorkers:
        if self._workers is None:
            raise ChapiteauError("the relay got orders before its plan")
        return self._workers

    # ── the coordinator ───────────────────────────────────────────────────────────────────────
    async def listen(self) -> None:
        """Read stdin to its end, which is the end of everything."""
        loop, reader = asyncio.get_running_loop(), order_reader()
        while data := await loop.run_in_executor(None, os.read, 0, 1 << 16):
            self._heard.set()
            for order in reader.feed(data):
                self.take(order)
        self.abandon("")  # the coordinator is gone

    async def watch(self) -> None:
        """End when the coordinator has been silent for too long."""
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(SILENCE):
                    await self._heard.wait()
            except TimeoutError:
                self.abandon(f"no word from the coordinator for {SILENCE:.0f} s")


async def _serve() -> None:
    relay = Relay()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        name = signal.Signals(number).name
        asyncio.get_running_loop().add_signal_handler(number, relay.abandon, f"told by {name}")
    tasks = [asyncio.create_task(relay.listen()), asyncio.create_task(relay.watch())]
    await relay.carry_out()
    for task in tasks:
        task.cancel()
    sys.stdout.flush()
    os._exit(0)  # a thread still reads stdin, and would be waited for


def main() -> None:
    """Take orders until told to leave."""
    relay_out = os.dup(1)
    # What a scenario prints is for people; standard output belongs to the reports.
    os.dup2(2, 1)
    sys.stdout = os.fdopen(relay_out, "w", encoding="utf-8")
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
