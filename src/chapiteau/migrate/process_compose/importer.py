"""A whole process-compose.yaml, with the file that it extends."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.migrate.draft import Draft, report_repeated
from chapiteau.migrate.finish import finish
from chapiteau.migrate.process_compose.processes import Processes
from chapiteau.migrate.process_compose.rules import PROJECT
from chapiteau.migrate.process_compose.variables import merge_options, pairs, relative_to
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, KeyPath, Option, Source, unreadable
from chapiteau.run.process.environment import parse_env_file

__all__ = ["import_process_compose"]


def import_process_compose(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """One or several process-compose files, with what they extend; later ones win.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    files: list[_File] = []
    for source in sources:
        files += _with_parents(source, choices, ())
    if not any("processes" in file.data for file in files):
        hint = "is it really such a file? --from KIND says of which kind it is"
        raise unreadable(files[-1].source.name if files else "", "has no `processes`", hint)
    for file in files:
        if file.source.tree:
            report_repeated(draft.table("project"), file.source, file.source.tree)
    dotenv = _dotenv(draft, sources, choices)
    for option in (o for file in files for o in file.top() if not o.name.startswith("x-")):
        apply_rules([option], PROJECT, draft.table("project"))
    _processes(draft, files, dotenv)
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (process-compose).")


# NAME=…$OTHER, not in single quotes.
_FILLED: Final = re.compile(
    r"^\s*(?:export\s+)?([\w.]+)\s*=[^'#\n]*?(?<!\\)\$\{?[A-Za-z_]", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _File:
    source: Source
    extended: bool = False  # by another one

    @property
    def data(self) -> Mapping[str, Any]:
        tree = self.source.tree
        return tree.data if tree and isinstance(tree.data, Mapping) else {}

    def top(self) -> list[Option]:
        return self.options((), self.data, "")

    def options(self, path: KeyPath, value: Any, section: str) -> list[Option]:
        if not isinstance(value, Mapping):
            return []
        return [
            Option(
                name=str(key),
                value=inner,
                where=self.source.place((*path, key)),
                section=section,
            )
            for key, inner in value.items()
        ]


def _with_parents(source: Source, choices: ImportOptions, seen: tuple[str, ...]) -> list[_File]:
    file = _File(source, bool(seen))
    if source.tree is None or not isinstance(source.tree.data, Mapping):
        raise unreadable(source.where(1), "is no mapping", "it should begin with `processes:`")
    if not isinstance(file.data.get("processes", {}), Mapping):
        raise unreadable(source.place(("processes",)), "`processes` is no mapping")
    parent = file.data.get("extends")
    found = choices.beside(source, parent) if isinstance(parent, str) else ()
    fresh = [p for p in found if p.name not in seen and p.name != source.name]
    parents = [f for p in fresh for f in _with_parents(p, choices, (*seen, source.name))]
    return [*parents, file]


def _dotenv(draft: Draft, sources: Sequence[Source], choices: ImportOptions) -> frozenset[str]:
    names: set[str] = set()
    for source in sources:
        for found in choices.beside(source, ".env"):
            option = Option(name="", value=".env", where=found.where(1), section=found.name)
            top = draft.table("project")
            top.kept(option, "env_files of every service")
            if filled := _FILLED.search(found.text):
                line = found.text.count("\n", 0, filled.start()) + 1
                top.changed(
                    Option(name=filled[1], value="", where=found.where(line), section=found.name),
                    "has a $NAME, which process-compose fills in; Chapiteau takes it as it stands",
                    "write the value down, or set it in env: there ${env.NAME} is filled in",
                )
            try:
                names |= parse_env_file(found.text).keys()
            except ValueError as exc:
                top.changed(option, f"has a line that Chapiteau refuses: {exc}", "correct it")
    return frozenset(names)


def _processes(draft: Draft, files: list[_File], dotenv: frozenset[str]) -> None:
    merged: dict[str, dict[str, Option]] = {}
    first: dict[str, str] = {}
    shared: dict[str, Option] = {}
    shared_env: dict[str, Any] = {}
    for file in files:
        shared |= {o.name: o for o in file.top()}
        shared_env |= pairs(file.data.get("environment"))
        for name, body in (file.data.get("processes") or {}).items():
            path = ("processes", name)
            first.setdefault(str(name), file.source.place(path))
            options = {o.name: o for o in file.options(path, body, f"[{name}]")}
            if file.extended:
                relative_to(files[-1].source.folder, file.source.folder, options, first[str(name)])
            merge_options(merged.setdefault(str(name), {}), options)
    names: dict[str, str] = {}
    for name in merged:
        named = Option(name="name", value=name, where=first[name], section=f"[{name}]")
        names[name] = draft.named("service", named).name
    whole = Processes(
        draft=draft,
        sources=[file.source for file in files],
        shared=shared,
        shared_env=shared_env,
        dotenv=dotenv,
        names=names,
        merged=merged,
    )
    whole.take_shared_logs()
    for name in merged:
        whole.take(name)
    whole.wait_for_each_other()
