"""On each machine: takes orders as JSON lines on stdin, runs a team, reports on stdout.

    orders   hello · clock · setup · prepare · go · shape · stop · alive · end
    reports  hello · clock · alive · shared · ready · second · counts · over · bye · broken

Started as `python -m chapiteau.load.cluster.relay`, by ssh or by a Dask task. Its
load ends when stdin does, when the coordinator has been silent for too long, and at the plan's end,
which each step brings along: a lost coordinator leaves no load behind.
"""

import asyncio
import base64
import os
import platform
import signal
import sys
import time
from importlib.metadata import version
from typing import Any, Final, NoReturn

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.json_lines import LineReader, encode_line
from chapiteau.load.cluster.count_frames import Sender
from chapiteau.load.cluster.shipping import LockedFolder, unpack_scenario
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.local_workers import LoadStep, LocalWorkers

__all__ = ["EVENT", "Relay", "main"]

EVENT: Final = 5_000  # bytes of a second's report, at most: clusters carry it through a scheduler
_AROUND: Final = 160  # bytes of it that are not the parcel
_PARCEL: Final = (EVENT - _AROUND) // 4 * 3  # bytes before base64
SILENCE: Final = 15.0  # seconds without a word from the coordinator after which load ends
_LINE: Final = 64 << 20  # bytes of the longest order: it brings the scenario's files


class Relay:
    """One machine's part of a test."""

    def __init__(self) -> None:
        self._team: LocalWorkers | None = None
        self._folder: LockedFolder | None = None
        self._sender = Sender(_PARCEL)
        self._turn = 0  # the step at hand
        self._ended = 0  # the last step that was told to end
        self._out = sys.stdout.buffer

    def say(self, report: dict[str, Any]) -> None:
        """Tell the coordinator."""
        try:
            self._out.write(encode_line(report))
            self._out.flush()
        except OSError:
            self.abandon("")  # nobody listens

    async def hello(self, _order: dict[str, Any]) -> None:
        """Who is here."""
        cores = len(os.sched_getaffinity(0))
        self.say(
            {
                "is": "hello",
                "name": platform.node(),
                "cores": cores,
                "version": version("chapiteau"),
                "python": platform.python_version(),
            }
        )

    async def clock(self, order: dict[str, Any]) -> None:
        """What this machine's clock reads."""
        self.say({"is": "clock", "number": order["number"], "now": time.monotonic()})

    def alive(self) -> None:
        """So am I: load processes that have no time to report make no lost machine."""
        self.say({"is": "alive"})

    async def setup(self, order: dict[str, Any]) -> None:
        """Start the load processes; a second test on the same relay begins anew."""
        await self._leave()
        # A folder of its own: two tests on one machine never meet.
        self._folder = LockedFolder()
        plan = unpack_scenario(order["plan"], self._folder.path)
        self._team = LocalWorkers(
            plan, order["processes"], first=order["first"], total=order["total"]
        )
        self._sender = Sender(_PARCEL)
        await self._team.set_up()
        self.say({"is": "shared", "shared": self._team.shared})

    async def prepare(self, order: dict[str, Any]) -> None:
        """Let them make themselves ready."""
        await self._at_work().prepare(order["shared"])
        self.say({"is": "ready"})

    async def go(self, order: dict[str, Any]) -> None:
        """A step, from the agreed moment on."""
        team, self._turn = self._at_work(), order["turn"]
        late = time.monotonic() - order["zero"]
        self._sender.begin(order["watched"])

        def second(number: int, _totals: Totals) -> bool:
            self._tell_counts({"is": "second", "second": number})
            return False

        step = LoadStep(
            shape=Shape.from_list(order["shape"]),
            open=order["open"],
            arrivals=order["arrivals"],
            drain=order["drain"],
            sessions=order["sessions"],
            step=order["step"],
        )
        if self._ended >= self._turn:  # told to end before it began
            asyncio.get_running_loop().call_soon(team.stop)
        try:
            async with asyncio.timeout_at(order["until"]):
                await team.run(step, self._sender.waiting, second, zero=order["zero"])
        except TimeoutError:
            self.abandon("the load was still on long after the end of its plan")
        while self._tell_counts({"is": "counts"}):
            pass
        self.say({"is": "over", "late": round(max(0.0, late), 6)})

    def _tell_counts(self, report: dict[str, Any]) -> bool:
        """As much as fits into one event; whether there was anything."""
        parcel = self._sender.parcel()
        if parcel or "second" in report:
            self.say({**report, "parcel": base64.b64encode(parcel).decode()})
        return bool(parcel)

    async def end(self, _order: dict[str, Any]) -> None:
        """Tear down, and say goodbye with what was amiss."""
        refused, problems = await self._leave()
        self.say({"is": "bye", "refused": refused, "problems": problems})

    def stop(self, turn: int) -> None:
        """End that step, which may still wait in the queue."""
        self._ended = max(self._ended, turn)
        if self._team is not None and turn == self._turn:
            self._team.stop()

    def reshape(self, order: dict[str, Any]) -> None:
        """Go on along another shape, if the step it is meant for is still at hand."""
        if self._team is not None and order["turn"] == self._turn:
            self._team.reshape(Shape.from_list(order["shape"]))

    def abandon(self, why: str) -> NoReturn:
        """End everything at once: nobody is there any more who would say when."""
        if why:
            sys.stderr.write(f"{why}: it ends here\n")
            sys.stderr.flush()
        if self._team is not None:
            self._team.kill()
        if self._folder is not None:
            self._folder.remove()
        os._exit(1 if why else 0)

    async def _leave(self) -> tuple[list[str], list[str]]:
        refused: list[str] = []
        problems: list[str] = []
        if self._team is not None:
            await self._team.close()
            refused, problems = self._team.refused, self._team.problems
            self._team = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None
        return refused, problems

    def _at_work(self) -> LocalWorkers:
        if self._team is None:
            raise ChapiteauError("the relay got orders before its plan")
        return self._team


class _Desk:
    """Where orders come in: urgent ones are obeyed at once, the others one after the other."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader = LineReader(_LINE)
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        """Read stdin to its end, which is the end of everything."""
        loop = asyncio.get_running_loop()
        while data := await loop.run_in_executor(None, os.read, 0, 1 << 16):
            self._heard.set()
            for order in self._reader.feed(data):
                await self._take(order)
        self._relay.abandon("")  # the coordinator is gone

    async def _take(self, order: dict[str, Any]) -> None:
        if order["do"] == "stop":
            self._relay.stop(order["turn"])
        elif order["do"] == "shape":
            self._relay.reshape(order)
        elif order["do"] == "clock":
            await self._relay.clock(order)
        elif order["do"] == "alive":
            self._relay.alive()
        else:
            self._orders.put_nowait(order)

    async def watch(self) -> None:
        """End when the coordinator has been silent for too long."""
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(SILENCE):
                    await self._heard.wait()
            except TimeoutError:
                self._relay.abandon(f"no word from the coordinator for {SILENCE:.0f} s")

    async def obey(self) -> None:
        """Carry out orders until told to leave."""
        relay = self._relay
        deeds = {
            "hello": relay.hello,
            "setup": relay.setup,
            "prepare": relay.prepare,
            "go": relay.go,
            "end": relay.end,
        }
        while True:
            order = await self._orders.get()
            try:
                await deeds[order["do"]](order)
            except ChapiteauError as exc:
                kind = type(exc).__name__
                relay.say({"is": "broken", "kind": kind, "what": exc.what, "hint": exc.hint})
            if order["do"] == "end" and order.get("leave"):
                return


async def _serve() -> None:
    relay = Relay()
    desk = _Desk(relay)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        name = signal.Signals(number).name
        asyncio.get_running_loop().add_signal_handler(number, relay.abandon, f"told by {name}")
    tasks = [asyncio.create_task(desk.listen()), asyncio.create_task(desk.watch())]
    await desk.obey()
    for task in tasks:
        task.cancel()


async def _serve_and_leave() -> None:
    await _serve()
    sys.stdout.flush()
    os._exit(0)  # a thread still reads stdin, and would be waited for


def main() -> None:
    """Take orders until told to leave."""
    relay_out = os.dup(1)
    # What a scenario prints is for people; standard output belongs to the reports.
    os.dup2(2, 1)
    sys.stdout = os.fdopen(relay_out, "w", encoding="utf-8")
    asyncio.run(_serve_and_leave())


if __name__ == "__main__":
    main()
