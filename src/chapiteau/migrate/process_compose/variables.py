"""`$NAME`, `${NAME}` and `{{.NAME}}` in process-compose.yaml, made variables of ours."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chapiteau.migrate.draft import Target, Template, literal
from chapiteau.migrate.source import Option

__all__ = ["Filling", "Merged", "merge_options", "pairs", "relative_to", "resolve"]


# Several process-compose files as one: what a later one adds to a process of an earlier one.

_WHOLE: Final = frozenset({"paths", "namespaces"})  # lists of which the last one counts


class Merged(dict[str, Any]):
    """A mapping made of several files; `where` says of each key where it stands."""

    where: dict[str, str]


def pairs(value: Any) -> dict[str, Any]:
    """environment: a list of NAME=value, or a mapping."""
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    if isinstance(value, list):
        return dict(str(item).partition("=")[::2] for item in value)
    return {}


def merge_options(base: dict[str, Option], later: Mapping[str, Option]) -> None:
    """Put the options of a later file on those of an earlier one, as process-compose does.

    Variables and mappings are joined key by key, lists are put one after the other; of anything
    else the later one counts.
    """
    for name, option in later.items():
        before = base.get(name)
        base[name] = option if before is None else _joined(before, option)


def _joined(before: Option, option: Option) -> Option:
    old, new = before.value, option.value
    if option.name == "environment":
        old, new = pairs(old), pairs(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return replace(option, value=_mapping(before, old, option, new))
    if isinstance(old, list) and isinstance(new, list) and option.name not in _WHOLE:
        return replace(option, value=[*old, *new])
    return option


def _mapping(
    before: Option, old: Mapping[str, Any], option: Option, new: Mapping[str, Any]
) -> Merged:
    made = Merged(old)
    places = getattr(old, "where", {})
    made.where = {key: places.get(key, before.where) for key in old}
    for key, value in new.items():
        inner = Option(name=key, value=value, where=option.where)
        if key in made:
            inner = _joined(Option(name=key, value=made[key], where=made.where[key]), inner)
        made[key], made.where[key] = inner.value, option.where
    return made


def relative_to(folder: str, parent: str, options: dict[str, Option], where: str) -> None:
    """A process of an extended file runs in that file's folder, or below it."""
    if folder == parent or ("working_dir" in options and _is_far(options["working_dir"].value)):
        return
    option = options.get("working_dir") or Option(name="working_dir", value="", where=where)
    way = posixpath.normpath(
        posixpath.join(posixpath.relpath(parent, folder), str(option.value or ""))
    )
    options["working_dir"] = replace(option, value=way)


def _is_far(value: Any) -> bool:
    return str(value).startswith(("/", "$", "{{"))


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
            return Template(literal(filled))
        pieces, last = [], 0
        for match in _ENV.finditer(filled):
            pieces += [literal(filled[last : match.start()]), self._variable(match, for_shell)]
            last = match.end()
        return Template("".join([*pieces, literal(filled[last:])]))

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


def resolve(option: Option, target: Target) -> Option:
    """`${NAME:-value}` where ours takes no variable: the value, and a note that says so."""
    chosen = _CHOSEN.fullmatch(option.value) if isinstance(option.value, str) else None
    if chosen is None:
        return option
    what = f"came from the variable {chosen[1]}; it is {chosen[2]}, as where that is not set"
    target.changed(option, what, "write down what this server shall have")
    return replace(option, value=chosen[2])
