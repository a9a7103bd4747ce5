"""Carries out orders one after the other; urgent ones at once, whatever is under way."""

import asyncio
import time

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.workers.messages import (
    Alive,
    ClockQuery,
    ClockReading,
    End,
    Failed,
    Go,
    Hello,
    Order,
    Prepare,
    Report,
    Reshape,
    Setup,
    StillAlive,
    Stop,
)

__all__ = ["OrderExecutor"]


class OrderExecutor:
    """What a load process and a machine's relay have in common."""

    def __init__(self) -> None:
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._turn = 0  # the step under way, counted
        self._ended = 0  # the last step that was told to end

    def take(self, order: Order) -> None:
        """An order has come."""
        match order:
            case Stop():
                # One that is under way ends; one that has not begun yet will not begin.
                self._ended = max(self._ended, order.turn)
                if order.turn == self._turn:
                    self.stop_step()
            case Reshape():
                if order.turn == self._turn:
                    self.reshape(order.shape)
            case ClockQuery():
                self.report(ClockReading(order.number, time.monotonic()))
            case Alive():
                self.report(StillAlive())
            case _:
                self._orders.put_nowait(order)

    async def carry_out(self) -> None:
        """Carry out orders until one says to leave."""
        while True:
            order = await self._orders.get()
            try:
                await self._carry_out(order)
            except ChapiteauError as exc:
                self.report(Failed.of(exc))
            if isinstance(order, End) and order.leave:
                return

    async def _carry_out(self, order: Order) -> None:
        match order:
            case Hello():
                self.greet()
            case Setup():
                await self.setup(order)
            case Prepare():
                await self.prepare(order)
            case Go():
                self._turn = order.turn
                await self.go(order, stopped=self._ended >= order.turn)
            case End():
                await self.end()

    # ── for subclasses ────────────────────────────────────────────────────────────────────────
    def report(self, report: Report) -> None:
        """Tell whoever gives the orders."""
        raise NotImplementedError

    def greet(self) -> None:
        """Say what this machine is."""
        raise NotImplementedError

    async def setup(self, order: Setup) -> None:
        """Read the scenario."""
        raise NotImplementedError

    async def prepare(self, order: Prepare) -> None:
        """Run the workers' set-up."""
        raise NotImplementedError

    async def go(self, order: Go, *, stopped: bool) -> None:
        """Put load on; `stopped`: it was told to end before it began."""
        raise NotImplementedError

    def stop_step(self) -> None:
        """End the step under way."""
        raise NotImplementedError

    def reshape(self, shape: Shape) -> None:
        """Go on along another shape."""
        raise NotImplementedError

    async def end(self) -> None:
        """Tear down."""
        raise NotImplementedError
