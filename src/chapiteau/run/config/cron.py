"""When a scheduled service runs: cron lines of five fields, and `@every 10m`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from chapiteau.core.units import parse_duration

__all__ = ["Schedule", "next_run", "parse_schedule"]

_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_MONTHS: Final = dict(
    zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13), strict=True)
)
_DAYS: Final = dict(zip("sun mon tue wed thu fri sat".split(), range(7), strict=True))
_SHORT: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FAR: Final = 366 * 5  # days: 29 February is at most 8 years away, but a rule so rare is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Either a fixed interval, or the sets of minutes, hours, days, months and weekdays."""

    every: float = 0.0
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()  # 0 is Sunday
    any_day: bool = True  # the day of month was `*`
    any_weekday: bool = True

    def next_after(self, moment: datetime) -> datetime:
        """The first moment of the schedule after this one, in the moment's own zone.

        As in cron (POSIX `crontab`): when both day fields are given, either may match.
        """
        if self.every:
            return moment + timedelta(seconds=self.every)
        at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = at.replace(hour=0, minute=0)
        for _ in range(_FAR):
            if self._day_fits(day):
                for found in self._times(day):
                    if found >= at:
                        return found
            day += timedelta(days=1)
        raise ValueError("this schedule never comes")

    def _times(self, day: datetime) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield day.replace(hour=hour, minute=minute)

    def _day_fits(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        in_days = day.day in self.days
        in_weekdays = (day.weekday() + 1) % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_days and in_weekdays
        return in_days or in_weekdays


def next_run(rule: Schedule, now: float) -> float:
    """When it runs next by this machine's local time; both in seconds since 1970.

    When clocks are put forward, what falls into the hour that is left out runs an hour later; when
    they are put back, a schedule of certain hours runs in the first of the two. One of every hour
    runs in both.
    """
    if rule.every or len(rule.hours) == 24:  # at most an hour ahead: by the offset of now
        return rule.next_after(datetime.fromtimestamp(now, UTC).astimezone()).timestamp()
    # Without a zone, a moment means the local time of its own day: PEP 495.
    found = rule.next_after(datetime.fromtimestamp(now))  # noqa: DTZ006
    due = found.timestamp()
    return due if due > now else found.replace(fold=1).timestamp()


def parse_schedule(text: str) -> Schedule:
    """A cron line, "@daily" and its kin, or "@every 10m". Raises ValueError."""
    line = text.strip()
    if line.startswith("@every"):
        every = parse_duration(line.removeprefix("@every").strip())
        if every < 1:
            raise ValueError("@every needs a second at least")
        return Schedule(every=every)
    words = _SHORT.get(line.lower(), line).split()
    if len(words) != 5:
        raise ValueError(
            f"{text!r} is not a schedule; write five fields like '*/5 * * * *', or @every 10m"
        )
    minutes, hours, days, months, weekdays = (
        _field(word, *spec) for word, spec in zip(words, _FIELDS, strict=True)
    )
    made = Schedule(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(d % 7 for d in weekdays),
        any_day=words[2].startswith("*"),
        any_weekday=words[4].startswith("*"),
    )
    made.next_after(datetime(2024, 1, 1))  # noqa: DTZ001 — "30 2 30 2 *" never comes: say so now
    return made


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text) if step_text.isdigit() and int(step_text) > 0 else 0
        if ("/" in part) != bool(step):
            raise ValueError(f"{part!r} is not a step of the {name}")
        first, last = _span(span, name, low, high, open_ended=bool(step))
        found.update(range(first, last + 1, step or 1))
    return frozenset(found)


def _span(text: str, name: str, low: int, high: int, *, open_ended: bool) -> tuple[int, int]:
    if text == "*":
        return low, high if high != 7 else 6
    first, dash, last = text.partition("-")
    start = _number(first, name, low, high)
    end = _number(last, name, low, high) if dash else (high if open_ended else start)
    if end < start:
        raise ValueError(f"{text!r} runs backwards in the {name}")
    return start, end


def _number(text: str, name: str, low: int, high: int) -> int:
    words = {"month": _MONTHS, "day of week": _DAYS}.get(name, {})
    value = words.get(text.lower())
    if value is None and text.isdigit():
        value = int(text)
    if value is None or not low <= value <= high:
        raise ValueError(f"{text!r} is not a {name} ({low}–{high})")
    return value
