"""`%(name)s` in supervisord.conf, filled in as Python's `%` does, or made a variable of ours."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.migrate.draft import Template, literal

__all__ = ["Expansion", "read_pairs"]

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
