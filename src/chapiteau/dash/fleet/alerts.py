"""Turns what is wrong now into notices: each problem once per target, and once when it is over."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from chapiteau.dash.fleet.problem import FleetProblem
from chapiteau.dash.settings import FleetAlerts, FleetSilence, FleetTarget

__all__ = ["AlertEvaluator", "FleetNotice", "OpenProblem", "mail_text", "payload", "title"]

_LEAST: Final = {"degraded": 1, "broken": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetNotice:
    """One message to one target."""

    target: str
    status: str  # "firing" or "resolved"
    trouble: FleetProblem
    since: float  # seconds since 1970: when the hub first saw it
    time: float
    count: int = 1  # how often it was told, this time included


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProblem:
    """A problem that is there; what the hub must not forget when it is started anew."""

    trouble: FleetProblem
    since: float
    gone: float = 0.0  # when it was last missed; 0 while it is there
    told: Mapping[str, tuple[float, int]]  # target → when last, how often


class AlertEvaluator:
    """Sees all problems of the fleet again and again."""

    def __init__(self, rule: FleetAlerts, kept: Iterable[OpenProblem] = ()) -> None:
        self._rule = rule
        self._open = {one.trouble.key: one for one in kept}

    @property
    def open(self) -> list[OpenProblem]:
        """Every problem that is there, by key; to be kept on disk."""
        return [self._open[key] for key in sorted(self._open)]

    def see(self, troubles: Iterable[FleetProblem], now: float) -> list[FleetNotice]:
        """What follows from all that is wrong at this moment (seconds since 1970)."""
        current = {trouble.key: trouble for trouble in troubles}
        for key, trouble in current.items():
            known = self._open.get(key) or OpenProblem(trouble=trouble, since=now, told={})
            self._open[key] = replace(known, trouble=trouble, gone=0.0)
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
            if due and _wants(target, one.trouble) and not self._silent(one.trouble, now):
                told[name] = (now, count + 1)
                yield FleetNotice(
                    target=name,
                    status="firing",
                    trouble=one.trouble,
                    since=one.since,
                    time=now,
                    count=count + 1,
                )
        self._open[key] = replace(one, told=told)

    def _resolved(self, one: OpenProblem, now: float) -> Iterator[FleetNotice]:
        for name, (_, count) in one.told.items():
            target = self._rule.to.get(name)
            if target is not None and target.resolved and not self._silent(one.trouble, now):
                yield FleetNotice(
                    target=name,
                    status="resolved",
                    trouble=one.trouble,
                    since=one.since,
                    time=now,
                    count=count,
                )

    def _silent(self, trouble: FleetProblem, now: float) -> bool:
        if trouble.muted_until > now:
            return True
        return any(_fits(one, trouble) and _lasts(one, now) for one in self._rule.silence)


def _wants(target: FleetTarget, trouble: FleetProblem) -> bool:
    return trouble.severity >= _LEAST[target.least] and _fits(target, trouble)


def _fits(rule: FleetTarget | FleetSilence, trouble: FleetProblem) -> bool:
    pairs = (
        (rule.kinds, trouble.kind),
        (rule.nodes, trouble.node),
        (rule.services, trouble.service),
    )
    return all(any(fnmatchcase(value, glob) for glob in globs) for globs, value in pairs)


def _lasts(silence: FleetSilence, now: float) -> bool:
    return not silence.until or now < datetime.fromisoformat(silence.until).timestamp()


def title(notice: FleetNotice, project: str) -> str:
    """One line."""
    trouble = notice.trouble
    place = f"{trouble.node}/{trouble.service}" if trouble.service else trouble.node
    over = (
        f"resolved after {max(0.0, notice.time - notice.since):.0f} s: "
        if notice.status == "resolved"
        else ""
    )
    return f"[{project}] {place}: {over}{trouble.what}"


def payload(notice: FleetNotice, project: str) -> dict[str, Any]:
    """The JSON that is sent; `text` is what chat webhooks show."""
    trouble = asdict(notice.trouble)
    return {
        "schema": 1,
        "status": notice.status,
        "text": title(notice, project),
        "project": project,
        "node": notice.trouble.node,
        "service": notice.trouble.service,
        "kind": notice.trouble.kind,
        "severity": "broken" if notice.trouble.severity >= 2 else "degraded",
        "since": notice.since,
        "count": notice.count,
        "cause": notice.trouble.cause,
        "lines": list(trouble["lines"]),
        "commands": [cure["line"] for cure in trouble["cures"]],
    }


def mail_text(notice: FleetNotice, project: str) -> str:
    """The body of a mail."""
    trouble = notice.trouble
    lines = [title(notice, project), ""]
    lines += [trouble.cause, ""] if trouble.cause else []
    lines += [*trouble.lines, ""] if trouble.lines else []
    if trouble.cures and notice.status == "firing":
        lines += [f"On {trouble.node}:", *(f"  {cure.line}" for cure in trouble.cures)]
    return "\n".join(lines) + "\n"
