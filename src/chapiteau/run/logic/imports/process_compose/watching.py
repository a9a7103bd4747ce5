"""`watch` of a process-compose process → watch of a service."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from chapiteau.run.logic.imports.draft import Target, literal
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import boolean, go_duration, text
from chapiteau.run.logic.imports.rules import Rule, apply, for_each, keep, lose, own, same

__all__ = ["WATCH", "take_watch"]

# What process-compose skips by itself; `.*` stands for .git, .venv and their like.
_SKIPPED: Final = (
    ".* node_modules vendor target dist build bin venv __pycache__ result *.log *.log.gz".split()
)


def _paths(option: Option, target: Target) -> None:
    """`watch.paths`, and `include` and `exclude` of each as those of all"""
    given = option.value if isinstance(option.value, list) else [option.value]
    entries = [one if isinstance(one, Mapping) else {"path": one} for one in given]
    target.put(option, "watch.paths", [literal(text(one.get("path") or ".")) for one in entries])
    for key in ("include", "exclude"):
        own_ones = [_listed(one.get(key)) for one in entries]
        _patterns(option, target, key, [p for part in own_ones for p in part])
        if len(entries) > 1 and any(part != own_ones[0] for part in own_ones):
            target.changed(option, f"{key} of one path holds for all of them now")
    for key in {key for one in entries for key in one} - {"path", "include", "exclude"}:
        target.lost(option, f"{key} is no option that is known here", "delete it")


def _listed(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [] if value is None else [value]
    return [text(part) for part in parts]


def _patterns(option: Option, target: Target, key: str, given: Iterable[str]) -> None:
    names: list[str] = []
    for pattern in given:
        name = pattern.removeprefix("**/").removesuffix("/**").strip("/")
        if "/" in name:
            target.lost(option, f"{key} {pattern}: patterns are names here, anywhere below")
        else:
            names.append(literal(name))
    if names:
        target.set(f"watch.{key}", [*(target.get(f"watch.{key}") or ()), *dict.fromkeys(names)])


def _every(key: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        _patterns(option, target, key, _listed(option.value))
        target.kept(option, f"watch.{key}")

    return own(f"`watch.{key}`: names, anywhere below", rule)


WATCH: Final[dict[str, Rule]] = {
    "paths": _paths,
    "debounce": keep("watch.debounce", go_duration),
    **for_each("ignore exclude", _every("exclude")),
    "include": _every("include"),
    "disable_default_excludes": same("watch.exclude is without what process-compose skips"),
    "cascade": lose("restarted what depends on it too", "reload those by hand"),
    **for_each("max_entries buffer_size", same("there is no such limit")),
}


def take_watch(target: Target, options: list[Option]) -> None:
    """The options of one `watch`, and what process-compose skips without being told."""
    apply(options, WATCH, target)
    if not target.get("watch.paths"):
        target.values.pop("watch", None)
        return
    if not target.get("watch.include"):
        target.set("watch.include", ["*"])
    bare = next((o for o in options if o.name == "disable_default_excludes"), None)
    skipped = [] if bare is not None and _on(bare) else _SKIPPED
    found = [*skipped, *(target.get("watch.exclude") or ())]
    target.set("watch.exclude", list(dict.fromkeys(found)))


def _on(option: Option) -> bool:
    try:
        return boolean(option.value)
    except ValueError:
        return False  # reported by its rule
