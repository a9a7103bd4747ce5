"""Those that put load on together, whatever carries orders to them and reports back."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.stats.frames import Frame, decode_frame
from chapiteau.load.workers.messages import Bye, Failed, Lost, Over, Report, Second

__all__ = ["FrameSink", "WorkerGroup"]


class FrameSink(Protocol):
    """What adds up frames."""

    def add(self, frame: Frame) -> None:
        """One more."""
        ...


R = TypeVar("R")
S = TypeVar("S", bound=FrameSink)


class WorkerGroup:
    """Members by name, the step that they carry out, and what they report."""

    def __init__(self) -> None:
        self.shared: Any = None  # what the run's set-up returned
        self.refused: list[str] = []  # why the scenario itself calls the run a failure
        self.problems: list[str] = []  # what went wrong beside the load
        self.lost: dict[str, str] = {}  # member that is gone → why
        self.lost_at: dict[str, float] = {}  # member → seconds into the step
        self.lost_share: dict[str, float] = {}  # member → its share of the load
        self.zero = 0.0  # when the step began, by this machine's monotonic clock
        self._reports: asyncio.Queue[tuple[str, Report]] = asyncio.Queue()
        self._turn = 0  # counts the steps: an order to stop is meant for one of them
        self._stopping = False

    def losses(self) -> dict[str, str]:
        """Why each member is gone, and what is missing with it."""
        return {
            name: f"{why}; {self.lost_share[name]:.0%} of the load is missing from second "
            f"{self.lost_at[name]:g} on"
            for name, why in self.lost.items()
        }

    @property
    def gone(self) -> bool:
        """Whether members are lost, and the test with them."""
        return False

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    def stop(self) -> None:
        """End the step under way; `run` then returns soon."""
        if not self._stopping:
            self._stopping = True
            self._send_stop()

    async def _collect(
        self, left: set[str], totals: S, on_second: Callable[[int, S], bool] | None
    ) -> None:
        """Add up what these report until their step is over.

        `on_second(second, totals)` is called when all have reported a second; true ends the step.
        """
        seen: Counter[int] = Counter()
        while left:
            name, report = await self._next(left)
            if isinstance(report, Second | Over):
                try:
                    totals.add(decode_frame(report.counts))
                except ValueError as exc:
                    report = Lost(f"its counts can't be read ({exc})")
            match report:
                case Lost():
                    left.discard(name)
                    self._lose(name, report.why)
                case Failed():
                    self.stop()
                    raise report.error()
                case Over():
                    left.discard(name)
                    self._note_end(name, report)
                case Second():
                    seen[report.second] += 1
                    whole = seen[report.second] >= len(left)
                    if whole and on_second is not None and on_second(report.second, totals):
                        self.stop()

    async def _answers(self, kind: type[R], names: Collection[str], seconds: float) -> dict[str, R]:
        """One report of this kind from each; before the load begins, everybody has to be there."""
        found: dict[str, R] = {}
        try:
            async with asyncio.timeout(seconds):
                while len(found) < len(names):
                    name, report = await self._reports.get()
                    match report:
                        case Lost():
                            self._lose_before(name, report.why)
                        case Failed():
                            raise report.error()
                        case kind():
                            found[name] = report
        except TimeoutError:
            missing = [name for name in names if name not in found]
            raise self._not_ready(missing, seconds) from None
        return {name: found[name] for name in names}

    async def _goodbyes(self, names: Collection[str], seconds: float) -> None:
        """Hear what each has to say when it has torn down; what goes wrong is kept."""
        waiting = set(names)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while waiting:
                    name, report = await self._reports.get()
                    match report:
                        case Bye():
                            self.refused += [w for w in report.refused if w not in self.refused]
                            for what in report.problems:
                                self._note_problem(name, what)
                        case Failed():
                            self._note_problem(name, report.what)
                        case Lost():
                            self._note_lost(name, report.why)
                        case _:
                            continue
                    waiting.discard(name)
        for name in sorted(waiting):
            self._note_slow(name, seconds)

    # ── for subclasses ────────────────────────────────────────────────────────────────────────
    async def _next(self, _left: set[str]) -> tuple[str, Report]:
        """The next report of a step."""
        return await self._reports.get()

    def _send_stop(self) -> None:
        raise NotImplementedError

    def _lose(self, name: str, why: str) -> None:
        """A member is gone while load is on. Raises ChapiteauError when that is the end."""
        raise NotImplementedError

    def _lose_before(self, name: str, why: str) -> None:
        """A member is gone before the load began. Raises ChapiteauError."""
        raise NotImplementedError

    def _not_ready(self, missing: list[str], seconds: float) -> ChapiteauError:
        raise NotImplementedError

    def _note_end(self, name: str, report: Over) -> None:
        """A member's step is over."""

    def _note_lost(self, name: str, why: str) -> None:
        """A member was gone before it could say goodbye."""

    def _note_problem(self, name: str, what: str) -> None:
        raise NotImplementedError

    def _note_slow(self, name: str, seconds: float) -> None:
        raise NotImplementedError
