"""`$NAME`, `${NAME}` and `{{.NAME}}` in process-compose.yaml, made variables of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chapiteau.run.logic.imports.draft import Ours, Target, literal
from chapiteau.run.logic.imports.reading.source import Option

__all__ = ["Filling", "settled"]

_ENV: Final = re.compile(
    r"(?P<kept>\$\$(?:\{[^{}]*\})?)"
    r"|\$\{(?P<braced>[A-Za-z_]\w*)(?P<default>:?-[^${}]*)?\}|\$(?P<bare>[A-Za-z_]\w*)"
)
_TEMPLATE: Final = re.compile(
    r'\{\{-?\s*(?P<code>(?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!\}\}).)*?)\s*-?\}\}'
)
_CHOSEN: Final = re.compile(r"\$\{env\.(\w+):-([^${}]+)\}")
_QUOTED: Final = re.compile(r'"([^"\\]*)"|`([^`]*)`')
_SIMPLE: Final = re.compile(r"\.(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What is known when the file is read."""

    vars: Mapping[str, Any] = field(default_factory=dict)
    dotenv: frozenset[str] = frozenset()  # names in .env: processes have them, the file does not
    expand: bool = True  # disable_env_expansion turns it off

    def fill(self, text: str, *, for_shell: bool = False) -> str:
        """The text in our terms. In a shell's line a name from .env is left to the shell.

        Raises ValueError for a template that would have to be computed.
        """
        filled = _TEMPLATE.sub(self._template, text)
        if not self.expand:
            return Ours(literal(filled))
        pieces, last = [], 0
        for match in _ENV.finditer(filled):
            pieces += [literal(filled[last : match.start()]), self._variable(match, for_shell)]
            last = match.end()
        return Ours("".join([*pieces, literal(filled[last:])]))

    def _variable(self, match: re.Match[str], for_shell: bool) -> str:
        if kept := match["kept"]:
            return literal(kept[1:])  # $$ keeps a dollar for the shell
        name = match["braced"] or match["bare"]
        if name == "PC_REPLICA_NUM":
            return "${process.number}"
        if name == "PC_PROC_NAME":
            return "${service.name}"
        default = match["default"]
        if for_shell and (default is not None or name in self.dotenv):
            return literal(f"${{{name}{default or ''}}}")
        # One that is not set is empty there.
        return f"${{env.{name}:-{(default or '').lstrip(':').removeprefix('-')}}}"

    def _template(self, match: re.Match[str]) -> str:
        if quoted := _QUOTED.fullmatch(match["code"]):
            return quoted[1] if quoted[1] is not None else quoted[2]
        simple = _SIMPLE.fullmatch(match["code"])
        name = simple[1] if simple else ""
        if name in self.vars:
            return str(self.vars[name])
        if name == "PC_REPLICA_NUM":
            return "$PC_REPLICA_NUM"
        raise ValueError(f"{match[0]} would have to be computed by process-compose")


def settled(option: Option, target: Target) -> Option:
    """`${NAME:-value}` where ours takes no variable: the value, and a note that says so."""
    chosen = _CHOSEN.fullmatch(option.value) if isinstance(option.value, str) else None
    if chosen is None:
        return option
    what = f"came from the variable {chosen[1]}; it is {chosen[2]}, as where that is not set"
    target.changed(option, what, "write down what this server shall have")
    return replace(option, value=chosen[2])
