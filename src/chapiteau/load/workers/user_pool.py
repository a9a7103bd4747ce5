"""The virtual users of one process: who runs a scenario, when, and what became of it."""

import asyncio
import inspect
import random
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.engine.completion import Completion, CoroutineDriver
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import (
    DataUsedUpError,
    ExchangeError,
    ScenarioError,
    TargetNotAllowedError,
)
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.workers.user import User

__all__ = ["RunContext", "UserPool", "call_fixture"]

# Sessions that are due within this time start at once: arming the timer takes as long.
_NOW: Final = 0.00002
# A user whose session failed without sending anything would spin; a person would wait, too.
_AFTER_FAILURE: Final = 0.1
_GLANCE: Final = 0.005  # seconds between two looks at who is still on the way
# Whose frames are not the scenario's: ours, also as Cython names them, and unittest's.
_NOT_OWN: Final = (f"{Path(__file__).parents[1]}/", "_fastpath.pyx", "/unittest/")
_BROKEN: Final = (TargetNotAllowedError, UsageError, ScenarioError)


@dataclass(slots=True)
class RunContext:
    """What run and worker fixtures get: the worker's number, settings, and a place for things."""

    worker: int
    workers: int
    options: dict[str, str]
    shared: Any = None
    base: str = ""  # URL that relative requests start from
    state: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)  # users, seconds, sessions in all
    refused: list[str] = field(default_factory=list)  # why the file itself calls the run a failure

    def share(self, shared: Any) -> None:
        """What the run's set-up returned, here or in another process."""
        self.shared = shared


class UserPool:
    """Runs sessions in an asyncio loop: openly (`arrivals`) or closed (`keep`)."""

    def __init__(
        self,
        client: HttpClient,
        suite: Suite,
        recorder: Recorder,
        context: RunContext,
        *,
        seed: str,
        most: int,
        pace: float = 0.0,
    ) -> None:
        """`most` bounds the users; in the closed model, the sessions of each begin at least
        `pace` seconds apart."""
        self.loop = client.loop
        self.now: Callable[[], float] = client.now
        self.completion: Callable[[asyncio.AbstractEventLoop], Completion] = (
            client.backend.completion
        )
        self.driver: Callable[
            [asyncio.AbstractEventLoop, Coroutine[Any, Any, None]], CoroutineDriver
        ] = client.backend.driver
        self.broken: Exception | None = None
        self.used_up = ""  # which data has no more rows: no further session begins
        self._client = client
        self._suite = suite
        self._recorder = recorder
        self._context = context
        self._seed = seed
        self._most = most
        self._pace = pace
        self._chance = random.Random(f"{seed}/choice")  # noqa: S311 — repeatable, not secret
        self._weights = [s.weight for s in suite.scenarios]
        self._single = suite.scenarios[0] if len(suite.scenarios) == 1 else None
        self._before = suite.at("setup", "session")
        self._after = suite.at("teardown", "session")
        self._idle: list[User] = []
        self._users: set[User] = set()
        self._made = 0
        self._left: int | None = None
        # The next session of `arrivals` is due at another moment than it was; None: none is.
        self.retime: Callable[[float | None], None] = lambda _due: None

    @property
    def users(self) -> int:
        """Users there are, busy or not."""
        return len(self._users)

    @property
    def ended(self) -> bool:
        """Whether no further session makes sense."""
        return self.broken is not None or bool(self.used_up)

    @property
    def running(self) -> int:
        """Sessions on their way, or about to begin."""
        return sum(user.busy and not user.resting for user in self._users)

    # ── open model ────────────────────────────────────────────────────────────────────────────
    async def arrivals(self, moments: Iterator[float], stop: asyncio.Event) -> None:
        """Start a session at each moment (seconds after the recorder's zero)."""
        done = asyncio.Event()
        due = next(moments, None)

        def ring() -> None:
            nonlocal due
            now = self.now()
            while due is not None and not stop.is_set() and not self.used_up:
                at = self._recorder.zero + due
                if at > now + _NOW:
                    timer.at(at)
                    return
                self.arrive(at)
                due = next(moments, None)
                now = self.now()
            done.set()

        def wait_for(moment: float | None) -> None:
            nonlocal due
            if not done.is_set():
                due = moment
                timer.at(self._recorder.zero if moment is None else self._recorder.zero + moment)

        timer = self._client.reactor.timer(ring)
        self.retime = wait_for
        try:
            timer.at(self._recorder.zero)
            await _either(done, stop)
        finally:
            self.retime = lambda _due: None
            timer.close()

    def arrive(self, due: float) -> None:
        """A session is due: an idle user takes it, or a new one; too many are dropped."""
        if self._idle:
            self._idle.pop().call(due)
        elif len(self._users) < self._most:
            self._new().call(due)
        else:
            self._recorder.drop()

    # ── closed model ──────────────────────────────────────────────────────────────────────────
    async def keep(
        self,
        wanted: Callable[[float], int],
        seconds: float,
        stop: asyncio.Event,
        sessions: int | None = None,
    ) -> None:
        """Hold as many users busy as `wanted` says for each moment, one session after the other.

        `sessions` ends it after so many in all.
        """
        self._left = sessions
        await asyncio.sleep(max(0.0, self._recorder.zero - self.now()))
        end = self._recorder.zero + seconds
        while (left := end - self.now()) > 0 and not stop.is_set() and not self.ended:
            self._adjust(wanted(self.now() - self._recorder.zero))
            if self._left == 0 and not self._occupied():
                break
            await _sleep_or(stop, min(0.1 if sessions is None else 0.01, left))
        self._adjust(0)

    def more(self) -> bool:
        """Whether another session is wanted of a looping user; it counts as begun."""
        if self.used_up:
            return False
        if self._left is None:
            return True
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def _adjust(self, wanted: int) -> None:
        looping = [user for user in self._users if user.looping and user.busy]
        for user in looping[wanted:]:
            user.stop_looping()
        for _ in range(wanted - len(looping)):
            if not self.more():
                return
            user = self._idle.pop() if self._idle else self._new()
            user.call(self.now(), looping=True)

    # ── ending ────────────────────────────────────────────────────────────────────────────────
    async def drain(self, seconds: float) -> int:
        """Wait for sessions on their way, then cut them off; how many were cut."""
        until = self.now() + seconds
        # Looked at from time to time: an Event would cost every session something.
        while self._occupied() and self.now() < until and self.broken is None:  # noqa: ASYNC110
            await asyncio.sleep(_GLANCE)
        cut = self.running
        for user in list(self._users):
            user.cut()
        while any(user.busy for user in self._users):  # noqa: ASYNC110
            await asyncio.sleep(_GLANCE)
        return cut

    def _occupied(self) -> bool:
        return any(user.busy and not user.resting for user in self._users)

    async def close(self) -> None:
        """End all users, with their tear-downs."""
        tasks = [user.task for user in self._users if user.task is not None]
        for user in list(self._users):
            user.leave()
        if tasks:
            await asyncio.wait(tasks, timeout=10)

    # ── for users ─────────────────────────────────────────────────────────────────────────────
    def session(self, number: int) -> Session:
        """A session object for this user."""
        return Session(
            self._client,
            user=number,
            seed=f"{self._seed}/{self._context.worker}",
            shared=self._context.shared,
            worker=self._context.worker,
            workers=self._context.workers,
        )

    def free(self, user: User) -> None:
        """The user waits for its next session."""
        self._idle.append(user)

    def remove(self, user: User) -> None:
        """The user has left."""
        self._users.discard(user)

    async def set_up(self, session: Session) -> bool:
        """The user's set-up."""
        return await self._fixtures(session, "setup")

    async def tear_down_user(self, session: Session) -> bool:
        """The user's tear-down."""
        return await self._fixtures(session, "teardown")

    async def perform(self, user: User, session: Session) -> None:
        """The session that is due; while the user loops, one after the other.

        One coroutine for all of it: what stands here runs for every session.
        """
        path, single, iterations = session.request_path, self._single, self._recorder.iterations
        before, after = self._before, self._after
        late = self.now() - user.due
        while True:
            scenario = single or self._pick()
            begun = self.now() - late if self._pace else 0.0
            path.begin(late)
            good, counted = False, True
            try:
                if before:
                    await self._session_fixtures(before, session)
                await scenario.run(session)
                good = True
            except Exception as exc:  # noqa: BLE001 — whatever a user's scenario raises is a finding
                counted = self._met(exc)
            finally:
                if after and counted and not user.being_cut:
                    good = await self._tear_down(after, session) and good
                if counted:
                    iterations[scenario.name][not good] += 1
            if self._pace or session.pause:
                await self._rest(user, session, begun, idle=not good and not path.sent)
            elif not path.sent:
                await asyncio.sleep(0 if good else _AFTER_FAILURE)
            if not user.looping or self.used_up or (self._left is not None and not self.more()):
                return
            late = 0.0

    async def _rest(self, user: User, session: Session, begun: float, *, idle: bool) -> None:
        """Until the user's next session: after its own pause, and not before the pace allows."""
        seconds = max(session.take_pause(), begun + self._pace - self.now(), idle * _AFTER_FAILURE)
        if not user.looping or self._left == 0:
            return
        await user.rest(seconds)

    def _met(self, exc: Exception) -> bool:
        """What a scenario raised; false when the session counts as never begun."""
        if isinstance(exc, DataUsedUpError):
            self.used_up = exc.what
            self._recorder.unbegin()
            return False
        if isinstance(exc, _BROKEN):
            self.broken = exc
        else:
            self._crashed(exc)
        return True

    async def _tear_down(self, fixtures: Iterable[Fixture], session: Session) -> bool:
        """Each of a session's tear-downs, whatever became of the session; false when one failed."""
        good = True
        for fixture in fixtures:
            try:
                await call_fixture(fixture.run, session)
            except Exception as exc:  # noqa: BLE001 — as what a scenario raises
                good = False
                self._met(exc)
        return good

    async def _session_fixtures(self, fixtures: Iterable[Fixture], session: Session) -> None:
        for fixture in fixtures:
            await call_fixture(fixture.run, session)

    def _new(self) -> User:
        self._made += 1
        user = User(self, self._made)
        self._users.add(user)
        return user

    def _pick(self) -> Scenario:
        return self._chance.choices(self._suite.scenarios, self._weights)[0]

    def _crashed(self, exc: Exception) -> None:
        place = traceback.extract_tb(exc.__traceback__)
        own = [f for f in place if not any(part in f.filename for part in _NOT_OWN)]
        if not own and isinstance(exc, ExchangeError):
            return  # no scenario of the user's: the request's own row tells all
        line = f"{own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}" if own else "?"
        if isinstance(exc, ExchangeError):
            what = f"request failed: {exc.kind} ({line})"
        else:
            what = f"{type(exc).__name__}: {str(exc)[:120]} ({line})"
        self._recorder.crash(what, _told(exc))

    async def _fixtures(self, session: Session, when: Any) -> bool:
        for fixture in self._suite.at(when, "user"):
            try:
                await call_fixture(fixture.run, session)
            except _BROKEN as exc:
                self.broken = exc
                return False
            except Exception as exc:  # noqa: BLE001 — as above
                # The service may refuse a login under load: that is a failed session.
                self._crashed(exc)
                self._recorder.fixture_failed(when)
                return False
        return True


def _told(exc: Exception) -> str:
    """The traceback without our own frames, which tell nobody anything about a scenario."""
    told = traceback.TracebackException.from_exception(exc)
    part: traceback.TracebackException | None = told
    while part is not None:
        own = [f for f in part.stack if not any(piece in f.filename for piece in _NOT_OWN)]
        part.stack = traceback.StackSummary.from_list(own or part.stack)
        part = part.__cause__ or part.__context__
    return "".join(told.format())


async def call_fixture(function: Callable[..., Any], *args: Any) -> Any:
    """Call a fixture, plain or async."""
    made = function(*args)
    return await made if inspect.isawaitable(made) else made


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _sleep_or(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
