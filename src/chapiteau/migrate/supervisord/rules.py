"""The tables of supervisord.conf, and the rules that are special to it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.migrate.draft import Target, Template, expand_home, literal
from chapiteau.migrate.rules import dashboard_host, read_tables
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, port_number, text

__all__ = ["TABLES", "Expansion", "read_pairs"]


# `%(name)s` in supervisord.conf, filled in as Python's `%` does, or made a variable of ours.

_OURS: Final = re.compile(r"(?<!\$)\$\{(?:env|host|process)\.[^{}]*\}")
_MARK: Final = re.compile(r"%(?:\((?P<name>[^)]*)\)(?P<form>[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])|%)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """The values of one process: texts and numbers, and what is known only when it runs."""

    values: Mapping[str, str | int]
    env: Mapping[str, str] = field(default_factory=dict)  # [supervisord] and the program's own

    def fill(self, text: str) -> str:
        """The text with everything filled in. Raises ValueError, as supervisord would."""
        pieces, last = [], 0
        for match in _MARK.finditer(text):
            pieces += [self._literal(text[last : match.start()]), self._one(match)]
            last = match.end()
        return Template("".join([*pieces, self._literal(text[last:])]))

    def _literal(self, text: str) -> str:
        if "%" in text:
            raise ValueError(f"a lone % in {text!r}: supervisord wants %%")
        return literal(text)

    def _one(self, match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "%"
        if name == "host_node_name":
            return "${host.name}"
        if name.startswith("ENV_"):
            known = self.env.get(name[4:])
            return f"${{env.{name[4:]}}}" if known is None else known
        value: Any = self.values.get(name)
        if value is None:
            raise ValueError(f"{match[0]} has no value; known: {', '.join(self.values)}")
        if value == "${process.number}":
            return str(value)
        try:
            return literal(f"%{match['form']}" % value)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{match[0]}: {exc}") from None


def read_pairs(text: str) -> dict[str, str]:
    """KEY="value",KEY2=value2 as supervisord splits it. Raises ValueError."""
    # Our own variables stand for words that supervisord would have filled in before it splits.
    ours, whole = list(dict.fromkeys(_OURS.findall(text))), text
    for number, name in enumerate(ours):
        text = text.replace(name, f"OURS{number}VARIABLE")
    lexer = shlex.shlex(text)
    lexer.wordchars += "/.+-():"
    try:
        tokens = list(lexer)
    except ValueError as exc:
        raise ValueError(f"{whole!r}: {exc}") from None
    pairs: dict[str, str] = {}
    for at in range(0, len(tokens), 4):
        part = tokens[at : at + 3]
        if len(part) != 3 or part[1] != "=":
            raise ValueError(f'{whole!r} is not KEY="value",KEY="value"')
        value = part[2].strip("'\"")
        for number, name in enumerate(ours):
            value = value.replace(f"OURS{number}VARIABLE", name)
        pairs[part[0]] = value
    return pairs


def _home(value: Any) -> str:
    return expand_home(text(value))


def _least_limit(option: Option, target: Target, _value: Any) -> None:
    limit = {"minfds": "open_files", "minprocs": "processes"}[option.name]
    target.changed(
        option,
        "raised the limit where it was lower: services have the supervisor's own",
        f"limits.{limit} of a service sets it",
    )


def _web_page(option: Option, target: Target, value: Any) -> None:
    host, _, port = text(value).strip().rpartition(":")
    dash = target.draft.table("dash")
    dash.put(option, "port", port_number(port))
    dash.put(option, "enable", True)
    if host in ("", "*"):
        raise ValueError("the page can be reached from other machines, and needs cert and key")
    dashboard_host(option, target, host)


def _startsecs(option: Option, target: Target, value: float) -> None:
    if value == 0:
        target.kept(option, "a process counts as up at once")
        return
    target.put(option, "ready.alive", duration(value))
    target.set("restart.healthy_after", duration(value))


def _startretries(option: Option, target: Target, count: int) -> None:
    if count < 1:
        target.set("restart.attempts", 1, option)
        target.changed(option, "0 became 1, the least there is")
    else:
        target.put(option, "restart.attempts", count)


def _kill_group(option: Option, target: Target, on: bool) -> None:
    if on:
        target.kept(option, "its whole tree is killed")
    else:
        target.changed(option, "nothing of a service survives its stop: the whole tree ends")


def _log_size(option: Option, target: Target, size: str | int) -> None:
    if size:
        target.put(option, "log.max_size", size)
    else:
        target.changed(
            option,
            "let the file grow without end; it is rotated at 50MiB",
            "see log.max_size, log.keep and log.max_total",
        )


TABLES: Final = read_tables("chapiteau.migrate.supervisord", globals())
