"""`$(circus.env.NAME)`, which Circus fills in wherever a section's option has a text."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from chapiteau.run.logic.imports.draft import Ours, literal
from chapiteau.run.logic.imports.reading.ini import Section
from chapiteau.run.logic.imports.reading.source import Option

__all__ = ["VARIABLE", "env_of", "fill_env", "filled"]

VARIABLE: Final = re.compile(r"\$\(circus\.([\w.\-]+)\)|\(\(circus\.([\w.\-]+)\)\)", re.IGNORECASE)


def filled(sections: list[Section]) -> list[Section]:
    """The sections with every `$(circus.env.NAME)` filled in, but for [env] and [env:…] themselves.

    As in Circus the value becomes a part of the text: in a command it may be several words.
    """
    return [section if _is_env(section) else _filled(section, sections) for section in sections]


def _is_env(section: Section) -> bool:
    return section.name == "env" or section.name.startswith("env:")


def _filled(section: Section, sections: list[Section]) -> Section:
    kind, _, name = section.name.partition(":")
    env = {
        option.name: str(option.value).strip()
        for option in env_of(name if kind == "watcher" else None, sections)
    }
    return Section(
        name=section.name,
        where=section.where,
        options=[_option(option, env) for option in section.options],
        repeated=section.repeated,
    )


def _option(option: Option, env: Mapping[str, str]) -> Option:
    value = str(option.value)
    if VARIABLE.search(value) is None:
        return option
    made = Ours(fill_env(literal(value), env))
    return Option(name=option.name, value=made, where=option.where, section=option.section)


def env_of(watcher: str | None, sections: list[Section]) -> Iterator[Option]:
    """[env], and the [env:…] that are for the watcher; later ones win."""
    for section in sections:
        if section.name == "env" or (watcher is not None and _is_for(section, watcher)):
            yield from section.options


def _is_for(section: Section, watcher: str) -> bool:
    kind, _, patterns = section.name.partition(":")
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return kind == "env" and any(fnmatchcase(watcher, pattern) for pattern in wanted)


def fill_env(text: str, env: Mapping[str, str]) -> str:
    """The text with variables of `env` as their values, and all others as `${env.NAME}`.

    Names are the same in upper and lower case to Circus; the environment knows one of them.
    """
    known = {name.lower(): value for name, value in env.items()}

    def one(match: re.Match[str]) -> str:
        kind, _, name = (match[1] or match[2]).partition(".")
        if kind.lower() != "env" or not name:
            return match[0]
        value = known.get(name.lower())
        return f"${{env.{_spelled(name)}}}" if value is None else literal(value)

    return VARIABLE.sub(one, text)


def _spelled(name: str) -> str:
    """As the environment has it, most likely: in capitals, but for http_proxy and its kin."""
    return name.upper() if name.islower() and not name.endswith("_proxy") else name
