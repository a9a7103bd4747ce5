"""A whole process-compose.yaml, with the file that it extends."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.migrate.draft import Draft, report_repeated
from chapiteau.migrate.finish import finish
from chapiteau.migrate.process_compose.processes import Project
from chapiteau.migrate.process_compose.rules import TABLES
from chapiteau.migrate.process_compose.variables import merge_options, pairs, relative_to
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, Option, Source, unreadable
from chapiteau.run.process.environment import parse_env_file

__all__ = ["import_process_compose"]

# NAME=…$OTHER, not in single quotes.
_FILLED: Final = re.compile(
    r"^\s*(?:export\s+)?([\w.]+)\s*=[^'#\n]*?(?<!\\)\$\{?[A-Za-z_]", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _File:
    source: Source
    data: Mapping[str, Any]
    extended: bool = False  # by another one


def import_process_compose(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """One or several process-compose files, with what they extend; later ones win.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    files: list[_File] = []
    for source in sources:
        files += _with_parents(source, options, ())
    if not any("processes" in file.data for file in files):
        hint = "is it really such a file? --from KIND sets the kind"
        raise unreadable(files[-1].source.name if files else "", "has no `processes`", hint)
    for file in files:
        if file.source.tree:
            report_repeated(draft, file.source, file.source.tree)
    dotenv = _dotenv(draft, sources, options)
    for file in files:
        top = file.source.options((), file.data)
        apply_rules(
            [o for o in top if not o.name.startswith("x-")], TABLES["project"], draft.project
        )
    _processes(draft, files, dotenv)
    return finish(draft, sources, "process-compose")


def _with_parents(source: Source, options: ImportOptions, seen: tuple[str, ...]) -> list[_File]:
    data = source.tree.data if source.tree else None
    if not isinstance(data, Mapping):
        raise unreadable(source.where(1), "is no mapping", "it should begin with `processes:`")
    if not isinstance(data.get("processes", {}), Mapping):
        raise unreadable(source.place(("processes",)), "`processes` is no mapping")
    parent = data.get("extends")
    found = options.nearby(source, parent) if isinstance(parent, str) else ()
    fresh = [p for p in found if p.name not in seen and p.name != source.name]
    parents = [f for p in fresh for f in _with_parents(p, options, (*seen, source.name))]
    return [*parents, _File(source, data, bool(seen))]


def _dotenv(draft: Draft, sources: Sequence[Source], options: ImportOptions) -> frozenset[str]:
    names: set[str] = set()
    for found in (found for source in sources for found in options.nearby(source, ".env")):
        option = Option(name="", value=".env", where=found.where(1), section=found.name)
        draft.project.kept(option, "env_files of every service")
        if filled := _FILLED.search(found.text):
            line = found.text.count("\n", 0, filled.start()) + 1
            draft.project.changed(
                Option(name=filled[1], value="", where=found.where(line), section=found.name),
                "has a $NAME, which process-compose fills in; Chapiteau takes it as it stands",
                "write the value down, or set it in env: there ${env.NAME} is filled in",
            )
        try:
            names |= parse_env_file(found.text).keys()
        except ValueError as exc:
            what = f"has a line that Chapiteau refuses: {exc}"
            draft.project.changed(option, what, "correct it")
    return frozenset(names)


def _processes(draft: Draft, files: Sequence[_File], dotenv: frozenset[str]) -> None:
    merged: dict[str, dict[str, Option]] = {}
    first: dict[str, str] = {}
    shared: dict[str, Option] = {}
    shared_env: dict[str, Any] = {}
    for file in files:
        shared |= {o.name: o for o in file.source.options((), file.data)}
        shared_env |= pairs(file.data.get("environment"))
        for key, body in (file.data.get("processes") or {}).items():
            path, name = ("processes", key), str(key)
            first.setdefault(name, file.source.place(path))
            options = {o.name: o for o in file.source.options(path, body, f"[{name}]")}
            if file.extended:
                relative_to(files[-1].source.folder, file.source.folder, options, first[name])
            merge_options(merged.setdefault(name, {}), options)
    services = {
        name: draft.named(
            "service", Option(name="name", value=name, where=first[name], section=f"[{name}]")
        )
        for name in merged
    }
    project = Project(
        draft=draft,
        sources=[file.source for file in files],
        shared=shared,
        shared_env=shared_env,
        dotenv=dotenv,
        services=services,
        processes=merged,
    )
    project.convert()
