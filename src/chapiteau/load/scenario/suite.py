"""What a user declares: scenarios with weights, and fixtures at four levels.

The decorators only mark a function; whoever loads the file collects the marked ones. So nothing
global is kept, two files never mix, and a marked function can still be called by itself.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args, overload

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import did_you_mean
from chapiteau.load.errors import ScenarioError

__all__ = [
    "Fixture",
    "Level",
    "Rates",
    "Scenario",
    "Suite",
    "collect_suite",
    "rates",
    "scenario",
    "setup",
    "teardown",
]

Level = Literal["run", "worker", "user", "session"]
F = TypeVar("F", bound=Callable[..., Any])
_MARK: Final = "__chapiteau_load__"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one session does: `run(session)` is an `async def`."""

    name: str
    run: Callable[..., Any]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Fixture:
    """Something done before (`set-up`) or after (`tear-down`) a run, worker, user or session."""

    when: Literal["setup", "teardown"]
    level: Level
    run: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Rates:
    """How many sessions arrive in a second, by the second: `run(at)`."""

    run: Callable[[float], float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Suite:
    """All that one file declares."""

    scenarios: tuple[Scenario, ...]
    fixtures: tuple[Fixture, ...] = ()
    rates: Rates | None = None

    def at(self, when: Literal["setup", "teardown"], level: Level) -> tuple[Fixture, ...]:
        """Fixtures of one moment: set-ups in the order of the file, tear-downs reversed."""
        found = tuple(f for f in self.fixtures if (f.when, f.level) == (when, level))
        return found if when == "setup" else found[::-1]

    def only(self, names: Iterable[str]) -> "Suite":
        """The same with these scenarios alone. Raises UsageError for an unknown one."""
        wanted = tuple(names)
        known = {s.name for s in self.scenarios}
        for name in wanted:
            if name not in known:
                raise UsageError(f"no scenario {name!r}", hint=did_you_mean(name, known))
        kept = tuple(s for s in self.scenarios if s.name in wanted) if wanted else self.scenarios
        return dataclasses.replace(self, scenarios=kept)


@overload
def scenario(function: F) -> F: ...
@overload
def scenario(*, weight: float = 1.0, name: str = "") -> Callable[[F], F]: ...
def scenario(function: F | None = None, *, weight: float = 1.0, name: str = "") -> Any:
    """Mark an `async def f(session)` as what a session does.

    With several, each arriving session takes one by `weight`; weight 0 leaves one out.
    """
    if weight < 0:
        raise UsageError(f"a scenario's weight must be 0 or more, not {weight}")

    def mark(marked: F) -> F:
        setattr(marked, _MARK, Scenario(name or marked.__name__, marked, weight))
        return marked

    return mark if function is None else mark(function)


@overload
def setup(what: F) -> F: ...
@overload
def setup(what: Level = "run") -> Callable[[F], F]: ...
def setup(what: Any = "run") -> Any:
    """Mark what is done before: `@setup`, or `@setup("worker")`, `"user"`, `"session"`.

    Run and worker fixtures get a Stage, user and session fixtures the Session. What a run's
    set-up returns (JSON-ready) is `shared` for every worker.
    """
    return _fixture("setup", what)


@overload
def teardown(what: F) -> F: ...
@overload
def teardown(what: Level = "run") -> Callable[[F], F]: ...
def teardown(what: Any = "run") -> Any:
    """Mark what is done afterwards; as `setup`, in reverse order."""
    return _fixture("teardown", what)


def rates(seconds: float) -> Callable[[F], F]:
    """Mark a function from seconds since the start to sessions a second: the load over time, for
    this long, unless the command line says another."""

    def mark(marked: F) -> F:
        setattr(marked, _MARK, Rates(marked, seconds))
        return marked

    return mark


def _fixture(when: Literal["setup", "teardown"], what: Any) -> Any:
    def mark(marked: F, level: Level = "run") -> F:
        setattr(marked, _MARK, Fixture(when, level, marked))
        return marked

    if callable(what):
        return mark(what)
    if what not in get_args(Level):
        raise UsageError(
            f"{when}({what!r}): no such level", hint=f"one of {', '.join(get_args(Level))}"
        )
    return lambda marked: mark(marked, what)


def collect_suite(names: Mapping[str, Any], where: str) -> Suite:
    """Everything marked in a module's namespace. Raises ScenarioError when nothing can run."""
    marks = {id(m): m for m in (getattr(v, _MARK, None) for v in names.values()) if m is not None}
    scenarios = [m for m in marks.values() if isinstance(m, Scenario) and m.weight > 0]
    if not scenarios:
        raise ScenarioError(
            f"{where}: no scenario in it",
            hint="put `@scenario` (from chapiteau.load) above an `async def f(session)`",
        )
    seen: set[str] = set()
    for one in scenarios:
        if one.name in seen:
            raise ScenarioError(f"{where}: two scenarios are called {one.name!r}")
        seen.add(one.name)
    fixtures = tuple(m for m in marks.values() if isinstance(m, Fixture))
    loads = [m for m in marks.values() if isinstance(m, Rates)]
    if len(loads) > 1:
        raise ScenarioError(f"{where}: two functions are marked with @rates")
    return Suite(tuple(scenarios), fixtures, loads[0] if loads else None)
