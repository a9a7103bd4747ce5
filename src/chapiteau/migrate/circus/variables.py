"""The environment of circus.ini, and `$(circus.env.NAME)` wherever an option has a text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from chapiteau.migrate.draft import Template, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.source import Option

__all__ = ["VARIABLE", "env_of", "fill_env", "fill_variables", "is_for"]

VARIABLE: Final = re.compile(r"\$\(circus\.([\w.\-]+)\)|\(\(circus\.([\w.\-]+)\)\)", re.IGNORECASE)


def fill_variables(sections: Sequence[Section]) -> None:
    """Fill in every `$(circus.env.NAME)`, but for [env] and [env:…] themselves.

    As in Circus the value becomes a part of the text: in a command it may be several words.
    """
    for section in sections:
        if section.kind != "env":
            watcher = section.label if section.kind == "watcher" else None
            env = {o.name: str(o.value).strip() for o in env_of(watcher, sections)}
            section.options = [_fill(option, env) for option in section.options]


def _fill(option: Option, env: Mapping[str, str]) -> Option:
    value = str(option.value)
    if VARIABLE.search(value) is None:
        return option
    return replace(option, value=Template(fill_env(literal(value), env)))


def env_of(watcher: str | None, sections: Sequence[Section]) -> Iterator[Option]:
    """[env], and the [env:…] that are for the watcher; later ones win."""
    for section in sections:
        if section.name == "env" or (watcher is not None and is_for(section, watcher)):
            yield from section.options


def is_for(section: Section, watcher: str) -> bool:
    """Whether an [env:…] is for the watcher."""
    patterns = [pattern.strip() for pattern in section.label.split(",")]
    return section.kind == "env" and any(fnmatchcase(watcher, pattern) for pattern in patterns)


def fill_env(text: str, env: Mapping[str, str]) -> str:
    """The text with variables of `env` as their values, and all others as `${env.NAME}`.

    Names are the same in upper and lower case to Circus; the environment knows one of them: in
    capitals, most likely, but for http_proxy and its kin.
    """
    known = {name.lower(): value for name, value in env.items()}

    def one(match: re.Match[str]) -> str:
        kind, _, name = (match[1] or match[2]).partition(".")
        if kind.lower() != "env" or not name:
            return match[0]
        if (value := known.get(name.lower())) is not None:
            return literal(value)
        spelled = name.upper() if name.islower() and not name.endswith("_proxy") else name
        return f"${{env.{spelled}}}"

    return VARIABLE.sub(one, text)
