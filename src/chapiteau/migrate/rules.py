"""How keys are translated: a table for each section of a tool's file, and a few special rules.

A tool's keys.toml has one row per key (or per several, with `*` for any ending):

    "key"                      our key, taken over as text
    to, read                   our key, and how the value is read
    to, values                 our key, and ours for each of the tool's words
    to, set, otherwise         our key and its value for a switch that is on; what holds where off
    to, read, changed, hint    our key, with a difference that people should know
    same                       nothing has to be written
    lost, instead              there is no equal; with `otherwise` only where the value is not off
    rule, read                 a function of the tool's rules.py: (option, target, value)
    combined                   translated together with others, elsewhere
    table                      another table of the new file than the section's own
    shown                      what the migration guide says, where it does not follow from the rest
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from math import ceil
from typing import Any, Final

import msgspec

from chapiteau.core.backoff import Backoff
from chapiteau.core.problems import did_you_mean
from chapiteau.core.units import parse_duration
from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import READERS, text
from chapiteau.run.config.spec import Restart

__all__ = [
    "Rule",
    "Table",
    "apply_rules",
    "dashboard_host",
    "fixed_restart_delay",
    "limit_failed_starts",
    "put_limit",
    "read_tables",
    "stop_whole_group",
]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str = ""
    read: str = ""
    values: dict[str, str] = {}
    set: str | bool | None = None
    changed: str = ""
    hint: str = ""
    same: str = ""
    lost: str = ""
    instead: str = ""
    otherwise: str = ""
    rule: str = ""
    combined: str = ""
    table: str = ""
    shown: str = ""


_TEXTS: Final = frozenset({"", "text", "joined", "shell_words"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one key."""

    row: _Row
    read: Callable[[Any], Any] | None
    special: Callable[[Option, Target, Any], object] | None

    def __call__(self, option: Option, target: Target) -> None:
        """Raises ValueError for a value that makes no sense."""
        row = self.row
        if row.table:
            target = target.draft.table(row.table)
        value = self.read(option.value) if self.read else option.value
        if self.special is not None:
            self.special(option, target, value)
        elif row.otherwise and not value:
            target.kept(option, row.otherwise)
        elif row.lost:
            target.lost(option, row.lost, row.instead)
        elif row.same:
            target.kept(option, row.same)
        elif row.changed:
            target.set(row.to, value, option)
            target.changed(option, row.changed, row.hint)
        else:
            target.put(option, row.to, value if row.set is None else row.set)

    @property
    def combined(self) -> bool:
        """Whether it is translated together with others."""
        return bool(self.row.combined)

    @property
    def takes_text(self) -> bool:
        """Whether the value is text, in which variables may stand."""
        row = self.row
        return row.read in _TEXTS and not row.values and row.set is None

    @property
    def description(self) -> str:
        """What the migration guide says."""
        row = self.row
        if row.shown or row.combined:
            return row.shown or row.combined
        if row.lost:
            where = " where it" if row.otherwise else ":"
            return f"**lost**{where} {row.lost}. Instead: {row.instead}."
        if row.same:
            return f"nothing to write: {row.same}"
        key = f"[{row.table}] {row.to}" if row.table else row.to
        key = key if row.set is None else f'{key} = "{row.set}"'.replace('"True"', "true")
        return f"`{key}`: {row.changed}" if row.changed else f"`{key}`"


Table = Mapping[str, Rule]


def read_tables(
    package: str, special: Mapping[str, Any], name: str = "keys.toml"
) -> dict[str, Table]:
    """The tables of a tool by section; `special` holds its own rules and readers by name.

    A rule that stands as `_limit` in the module is named `limit` in the table.
    """
    special = {name.removeprefix("_"): value for name, value in special.items()}
    raw = (files(package) / name).read_bytes()
    sections = msgspec.toml.decode(raw, type=dict[str, dict[str, _Row | str]])
    return {
        section: {
            key: _rule(row if isinstance(row, _Row) else _Row(to=row), special)
            for keys, row in rows.items()
            for key in keys.split()
        }
        for section, rows in sections.items()
    }


def _rule(row: _Row, special: Mapping[str, Any]) -> Rule:
    name = row.read or ("boolean" if row.set is not None else "")
    read = (special.get(name) or READERS[name]) if name else None
    if row.values:
        words = {word: value for words, value in row.values.items() for word in words.split()}
        read = _one_of(words)
    elif row.to and read is None:
        read = _plain
    return Rule(row, read, special[row.rule] if row.rule else None)


def _plain(value: Any) -> str:
    return literal(text(value))


def _one_of(words: Mapping[str, str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = text(value).strip().lower()
        if word not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return words[word]

    return read


def apply_rules(options: Iterable[Option], table: Table, target: Target) -> None:
    """Give every option to its rule. Nothing is passed over: what no rule knows is lost."""
    for option in options:
        rule = table.get(option.name) or next(
            (table[key] for key in table if "*" in key and fnmatchcase(option.name, key)), None
        )
        if rule is None:
            _unknown(option, table, target)
        elif not rule.combined:
            with target.reading(option):
                rule(option, target)


def _unknown(option: Option, table: Table, target: Target) -> None:
    near = did_you_mean(option.name, table)
    hint = near if near.startswith("did you mean") else "set by hand what you need of it"
    shown = repr(option.value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    target.lost(option, f"is no option that is known here (its value: {shown})", hint)


# ── rules that several tools share ────────────────────────────────────────────────────────────
_LIMITS: Final = {
    "nofile": "open_files",
    "nproc": "processes",
    "core": "core",
    "stack": "stack",
    "fsize": "file_size",
    "as": "address_space",
}


def put_limit(
    option: Option, target: Target, name: str, soft: int | str, both: int | str = ""
) -> None:
    """`limits.NAME` where there is one; `limits.rlimits` has the others, and "unlimited"."""
    if name in _LIMITS and soft != "unlimited":
        target.put(option, f"limits.{_LIMITS[name]}", soft)
    else:
        target.put(option, f"limits.rlimits.{name}", both or soft)


def dashboard_host(option: Option, target: Target, value: Any) -> None:
    """An address that other machines can reach is lost: there the dashboard wants TLS."""
    host = text(value).strip()
    host = "127.0.0.1" if host == "localhost" else host
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
    target.kept(option, f"restart.min_delay in {target.title}, always the same")


def stop_whole_group(option: Option, target: Target, *, on: bool) -> None:
    """Whether the stop signal is for the whole process group; everything is killed anyway."""
    if on:
        target.kept(option, "the stop signal is for the whole group")
        return
    target.values.pop("stop_group", None)
    target.changed(
        option,
        "the stop signal goes to the process alone, but nothing of a service survives its stop",
        "make children that shall live on services of their own",
    )


_FOR_EVER: Final = 86400.0  # seconds
_OURS: Final = Restart()  # as it stands in the declaration: times are texts


def limit_failed_starts(target: Target) -> None:
    """Let `restart.attempts` count lives shorter than `healthy_after`, and stay down then.

    supervisord and PM2 give a program up after so many failed starts in a row. Everything else of
    [restart] must stand. The window is made long enough for all the waits.
    """

    def seconds(key: str) -> float:
        return parse_duration(target.get(f"restart.{key}") or getattr(_OURS, key))

    factor = target.get("restart.factor") or _OURS.factor
    waits = Backoff(first=seconds("delay"), factor=factor, cap=seconds("max_delay"))
    attempts = target.get("restart.attempts") or _OURS.attempts
    # After 60 waits each is as long as the longest.
    least = seconds("min_delay")
    waited = least + sum(max(least, waits.delay(n)) for n in range(1, min(attempts, 60)))
    waited += max(0, attempts - 60) * max(least, waits.cap)
    asked = (attempts + 1) * seconds("healthy_after") + waited * (1 + _OURS.jitter)
    if asked > _FOR_EVER:
        return  # so many that nobody saw the last one; ours goes on trying anyway
    target.set("restart.count", "unhealthy")
    target.set("restart.after_give_up", "stay-down")
    if asked >= seconds("window"):
        target.set("restart.window", f"{ceil(asked / 60) + 1}m")
