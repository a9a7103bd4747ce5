"""Several process-compose files as one: what a later one adds to a process of an earlier one."""

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from chapiteau.run.logic.imports.reading.source import Option

__all__ = ["Merged", "merge_options", "pairs", "seen_from"]

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


def seen_from(folder: str, parent: str, options: dict[str, Option], where: str) -> None:
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
