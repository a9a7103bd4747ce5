"""How a setting is translated: small rules, put together into one table per section of a format.

A rule gets the option and the table of the new file. It raises ValueError when it can't make
sense of the value; the option is then reported as lost, like one that no rule knows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, Final

from chapiteau.core.backoff import Backoff
from chapiteau.core.problems import did_you_mean
from chapiteau.core.units import parse_duration
from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import text
from chapiteau.run.config.spec import Restart

__all__ = [
    "DescribedRule",
    "Rule",
    "apply_rules",
    "dashboard",
    "dashboard_host",
    "describe",
    "described",
    "differs",
    "fixed_restart_delay",
    "for_each",
    "keep",
    "limit_failed_starts",
    "lost",
    "lost_if",
    "mapped",
    "try_rule",
    "unneeded",
]

Rule = Callable[[Option, Target], None]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class DescribedRule:
    """A rule with the words that stand for it in the guide's table."""

    act: Rule
    shown: str

    def __call__(self, option: Option, target: Target) -> None:
        self.act(option, target)


def describe(rule: Rule) -> str:
    """What the guide says about a rule: its words, or its docstring."""
    if isinstance(rule, DescribedRule):
        return rule.shown
    return " ".join((rule.__doc__ or "").split())


def described(shown: str, act: Rule) -> Rule:
    """A rule of one's own with its words for the guide."""
    return DescribedRule(act, shown)


def _plain(value: Any) -> str:
    """Text taken over as it is; what looks like a variable of ours is made literal."""
    return literal(text(value))


def keep(key: str, convert: Convert = _plain) -> Rule:
    """The same meaning under the name `key`."""

    def rule(option: Option, target: Target) -> None:
        target.put(option, key, convert(option.value))

    return DescribedRule(rule, f"`{key}`")


def differs(key: str, convert: Convert, what: str, hint: str = "") -> Rule:
    """Written as `key`, with a difference that the reader should know."""

    def rule(option: Option, target: Target) -> None:
        target.set(key, convert(option.value), option)
        target.changed(option, what, hint)

    return DescribedRule(rule, f"`{key}`: {what}")


def mapped(key: str, words: Mapping[str, Any]) -> Rule:
    """A word for a word."""

    def rule(option: Option, target: Target) -> None:
        word = text(option.value).strip().lower()
        if word not in words:
            raise ValueError(f"{option.value!r} is none of {', '.join(words)}")
        target.put(option, key, words[word])

    return DescribedRule(rule, f"`{key}`")


def unneeded(what: str) -> Rule:
    """Nothing has to be written: Chapiteau does so anyway."""

    def rule(option: Option, target: Target) -> None:
        target.kept(option, what)

    return DescribedRule(rule, f"nothing to write: {what}")


def lost(what: str, hint: str) -> Rule:
    """There is no equal: says what the setting meant and what to do instead."""

    def rule(option: Option, target: Target) -> None:
        target.lost(option, what, hint)

    return DescribedRule(rule, f"**lost**: {what}. {_sentence(hint)}")


def lost_if(when: Callable[[Any], object], what: str, hint: str, otherwise: str) -> Rule:
    """Lost when the value is of the kind that has no equal; else nothing has to be written."""

    def rule(option: Option, target: Target) -> None:
        if when(option.value):
            target.lost(option, what, hint)
        else:
            target.kept(option, otherwise)

    return DescribedRule(rule, f"**lost** where it {what}. {_sentence(hint)}")


def _sentence(hint: str) -> str:
    return f"Instead: {hint}." if hint else ""


def dashboard(key: str, convert: Convert) -> Rule:
    """A setting of the other tool's web page, as one of [dash]."""

    def rule(option: Option, target: Target) -> None:
        target.draft.table("dash").put(option, key, convert(option.value))

    return rule


def dashboard_host(option: Option, target: Target) -> None:
    """An address that others can reach is lost: there the dashboard wants TLS."""
    host = text(option.value).strip()
    if host == "localhost":
        host = "127.0.0.1"
    if not (host == "::1" or host.startswith("127.")):
        raise ValueError(f"{host!r} can be reached from other machines, and needs cert and key")
    target.draft.table("dash").put(option, "host", host)


def fixed_restart_delay(option: Option, target: Target, pause: str) -> None:
    """One pause before every restart: it neither grows nor is left out the first time."""
    target.set("restart.delay", pause, option)
    target.set("restart.min_delay", pause)
    target.set("restart.factor", 1.0)
    target.set("restart.jitter", 0.0)
    target.set("restart.max_delay", pause if pause != "0s" else "60s")
    target.kept(option, f"restart.min_delay in [{'.'.join(target.path)}], always the same")


def for_each(names: str, rule: Rule) -> dict[str, Rule]:
    """The same rule for several options, their names parted by spaces."""
    return dict.fromkeys(names.split(), rule)


def apply_rules(options: Iterable[Option], rules: Mapping[str, Rule], target: Target) -> None:
    """Give every option to its rule. Nothing is passed over: what no rule knows is lost."""
    for option in options:
        rule = rules.get(option.name)
        if rule is None:
            _unknown(option, rules, target)
            continue
        try_rule(option, target, partial(rule, option, target))


def try_rule(option: Option, target: Target, act: Callable[[], object]) -> None:
    """Do what an option asks for; a value that makes no sense is reported, and ends nothing."""
    try:
        act()
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "correct it, or set it by hand")


def _unknown(option: Option, rules: Mapping[str, Rule], target: Target) -> None:
    near = did_you_mean(option.name, rules)
    hint = near if near.startswith("did you mean") else "set by hand what you need of it"
    target.lost(
        option, f"is no option that is known here (its value: {_short(option.value)})", hint
    )


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"


# Failed starts in a row, after which supervisord and PM2 give a program up.

_FOR_EVER: Final = 86400.0  # seconds
_OURS: Final = Restart()  # as it stands in the declaration: times are texts


def limit_failed_starts(target: Target) -> None:
    """Let `restart.attempts` count lives shorter than `healthy_after`, and stay down then.

    Everything else of [restart] must stand. The window is made long enough for all the waits.
    """
    waits = Backoff(
        first=_seconds(target, "delay"),
        factor=target.get("restart.factor") or _OURS.factor,
        cap=_seconds(target, "max_delay"),
    )
    attempts = target.get("restart.attempts") or _OURS.attempts
    # After 60 waits each is as long as the longest.
    least = _seconds(target, "min_delay")
    waited = least + sum(max(least, waits.delay(n)) for n in range(1, min(attempts, 60)))
    waited += max(0, attempts - 60) * max(least, waits.cap)
    asked = (attempts + 1) * _seconds(target, "healthy_after") + waited * (1 + _OURS.jitter)
    if asked > _FOR_EVER:
        return  # so many that nobody saw the last one; ours goes on trying anyway
    target.set("restart.count", "unhealthy")
    target.set("restart.after_give_up", "stay-down")
    if asked >= _seconds(target, "window"):
        target.set("restart.window", f"{ceil(asked / 60) + 1}m")


def _seconds(target: Target, key: str) -> float:
    return parse_duration(target.get(f"restart.{key}") or getattr(_OURS, key))
