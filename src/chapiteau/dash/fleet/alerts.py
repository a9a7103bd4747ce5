"""Turns what is wrong now into notices: each problem once per target, and once when it is over."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from chapiteau.dash.fleet.problem import FleetProblem
from chapiteau.dash.settings import FleetAlerts, FleetSilence, FleetTarget

__all__ = ["AlertEvaluator", "FleetNotice", "OpenProblem", "mail_text", "payload", "title"]

_LEAST: Final = {"degraded": 1, "broken": 2}


class FleetNotice(Struct, frozen=True, kw_only=True):
    """One message to one target."""

    target: str
    status: str  # "firing" or "resolved"
    problem: FleetProblem
    since: float  # seconds since 1970: when the hub first saw it
    time: float
    count: int = 1  # how often it was told, this time included


class OpenProblem(Struct, frozen=True, kw_only=True):
    """A problem that is there; what the hub must not forget when it is started anew."""

    problem: FleetProblem
    since: float
    gone: float = 0.0  # when it was last missed; 0 while it is there
    told: dict[str, tuple[float, int]]  # target → when last, how often


class AlertEvaluator:
    """Sees all problems of the fleet again and again."""

    def __init__(self, rule: FleetAlerts, kept: Iterable[OpenProblem] = ()) -> None:
        self._rule = rule
        self._open = {one.problem.key: one for one in kept}

    @property
    def open(self) -> list[OpenProblem]:
        """Every problem that is there, by key; to be kept on disk."""
        return [self._open[key] for key in sorted(self._open)]

    def see(self, problems: Iterable[FleetProblem], now: float) -> list[FleetNotice]:
        """What follows from all that is wrong at this moment (seconds since 1970)."""
        current = {problem.key: problem for problem in problems}
        for key, problem in current.items():
            known = self._open.get(key) or OpenProblem(problem=problem, since=now, told={})
            self._open[key] = replace(known, problem=problem, gone=0.0)
        return [notice for key in sorted(self._open) for notice in self._one(key, current, now)]

    def _one(
        self, key: str, current: Mapping[str, FleetProblem], now: float
    ) -> Iterator[FleetNotice]:
        one = self._open[key]
        if key not in current:
            # It must stay away as long as it had to be there: what flaps is one problem.
            one = self._open[key] = replace(one, gone=one.gone or now)
            if now - one.gone >= self._rule.hold or not one.told:
                del self._open[key]
                yield from self._resolved(one, now)
            return
        if now - one.since < self._rule.hold:
            return
        told = dict(one.told)
        for name, target in self._rule.to.items():
            last, count = told.get(name, (0.0, 0))
            due = not count or now - last >= self._rule.repeat
            if due and _wants(target, one.problem) and not self._silent(one.problem, now):
                told[name] = (now, count + 1)
                yield _notice(one, name, "firing", now, count + 1)
        self._open[key] = replace(one, told=told)

    def _resolved(self, one: OpenProblem, now: float) -> Iterator[FleetNotice]:
        for name, (_, count) in one.told.items():
            target = self._rule.to.get(name)
            if target is not None and target.resolved and not self._silent(one.problem, now):
                yield _notice(one, name, "resolved", now, count)

    def _silent(self, problem: FleetProblem, now: float) -> bool:
        if problem.muted_until > now:
            return True
        return any(_fits(one, problem) and _lasts(one, now) for one in self._rule.silence)


def _notice(one: OpenProblem, target: str, status: str, now: float, count: int) -> FleetNotice:
    return FleetNotice(
        target=target, status=status, problem=one.problem, since=one.since, time=now, count=count
    )


def _wants(target: FleetTarget, problem: FleetProblem) -> bool:
    return problem.severity >= _LEAST[target.least] and _fits(target, problem)


def _fits(rule: FleetTarget | FleetSilence, problem: FleetProblem) -> bool:
    pairs = (
        (rule.kinds, problem.kind),
        (rule.nodes, problem.node),
        (rule.services, problem.service),
    )
    return all(any(fnmatchcase(value, glob) for glob in globs) for globs, value in pairs)


def _lasts(silence: FleetSilence, now: float) -> bool:
    return not silence.until or now < datetime.fromisoformat(silence.until).timestamp()


def title(notice: FleetNotice, project: str) -> str:
    """One line."""
    problem = notice.problem
    place = f"{problem.node}/{problem.service}" if problem.service else problem.node
    over = (
        f"resolved after {max(0.0, notice.time - notice.since):.0f} s: "
        if notice.status == "resolved"
        else ""
    )
    return f"[{project}] {place}: {over}{problem.what}"


def payload(notice: FleetNotice, project: str) -> dict[str, Any]:
    """The JSON that is sent; `text` is what chat webhooks show."""
    problem = notice.problem
    return {
        "schema": 1,
        "status": notice.status,
        "text": title(notice, project),
        "project": project,
        "node": problem.node,
        "service": problem.service,
        "kind": problem.kind,
        "severity": "broken" if problem.severity >= 2 else "degraded",
        "since": notice.since,
        "count": notice.count,
        "cause": problem.cause,
        "lines": problem.lines,
        "commands": [remedy.line for remedy in problem.remedies],
    }


def mail_text(notice: FleetNotice, project: str) -> str:
    """The body of a mail."""
    problem = notice.problem
    lines = [title(notice, project), ""]
    lines += [problem.cause, ""] if problem.cause else []
    lines += [*problem.lines, ""] if problem.lines else []
    if problem.remedies and notice.status == "firing":
        lines += [f"On {problem.node}:", *(f"  {remedy.line}" for remedy in problem.remedies)]
    return "\n".join(lines) + "\n"
