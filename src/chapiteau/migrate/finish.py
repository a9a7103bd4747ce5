"""The last steps of every import: references, start order, a check of the whole, the text."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import pairwise
from textwrap import wrap
from typing import Any, Final

from chapiteau.core.fields import Path as KeyPath
from chapiteau.core.graph import CycleError, layers
from chapiteau.io.toml_writer import write_toml
from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.report import ImportResult, Note
from chapiteau.migrate.source import Option, Source
from chapiteau.run.config.load import read_spec
from chapiteau.run.config.spec import Service, Socket

__all__ = ["finish", "note_priority", "start_in_order"]

_WIDTH: Final = 96
_TERMINAL: Final = re.compile(r"/dev/(?:stdout|stderr|tty|fd/[12])|/proc/(?:self|1)/fd/[12]")
_SET_UID: Final = frozenset({"sudo", "su", "doas", "pkexec", "ping", "mount", "umount", "newgrp"})


def start_in_order(ranks: Iterable[tuple[Target, Any]]) -> bool:
    """Let each service start `after` those of the next lower rank.

    Services of one rank start together. False when all ranks are equal, and nothing is written.
    """
    groups: dict[Any, list[Target]] = {}
    for service, rank in ranks:
        groups.setdefault(rank, []).append(service)
    for before, level in pairwise(sorted(groups)):
        for service in groups[level]:
            service.add("after", [other.name for other in groups[before]])
    return len(groups) > 1


def note_priority(target: Target, option: Option, order: str, *, different: bool) -> None:
    """What became of a priority; `order` tells which services start first."""
    if different:
        hint = "where one must be ready before the other starts, write needs = [...]"
        target.changed(option, f"became `after`: {order}", hint)
    else:
        target.kept(option, "all priorities are equal: no order")


def finish(draft: Draft, sources: Sequence[Source], tool: str) -> ImportResult:
    """The new file's text and the notes.

    What would make the file invalid is taken out again and reported as lost, so that the result
    can always be read.
    """
    services = draft.tables.get("service", {})
    for target in draft.services():
        if not target.get("command"):
            what = "has no command, so it is left out"
            target.lost(draft.origin(target.path), what, "give it one")
            del services[target.name]
            continue
        _keep_rights(target)
        _finish_log(target)
    for target in draft.services():
        _drop_dead_references(target)
    _break_cycles(draft)
    _drop_invalid(draft)
    title = f"Made from {', '.join(source.name for source in sources)} ({tool})."
    toml = write_toml(_in_order(draft.tables), _comments(draft, title))
    return ImportResult(toml=toml, notes=tuple(draft.notes))


def _keep_rights(target: Target) -> None:
    """Elsewhere set-uid programs work by default; where a command needs that, it goes on."""
    command = target.values["command"]
    used = command.split() if isinstance(command, str) else command
    if "no_new_privs" not in target.values and any(w.rpartition("/")[2] in _SET_UID for w in used):
        target.set("no_new_privs", False)
        target.changed(
            target.draft.origin(target.path),
            "its command uses a set-uid program: no_new_privs is switched off",
            "by default Chapiteau lets set-uid programs gain nothing",
        )


def _finish_log(target: Target) -> None:
    log: dict[str, Any] = target.values.get("log", {})
    path = str(log.get("file", ""))
    if path == "/dev/null" or _TERMINAL.fullmatch(path):  # no file that could be rotated
        log["file"] = "none"
        if path != "/dev/null":
            what = "output goes to the terminal while `chapiteau up` is in the foreground"
            target.changed(target.draft.origin((*target.path, "log", "file")), what)
    elif path and path != "none" and not path.startswith(("/", "${")):
        # Elsewhere a relative path starts at the file's folder, here at RUN_DIR/log.
        log["file"] = f"${{project.dir}}/{path.removeprefix('./')}"
    # A file of one's own, syslog and journald take lines, not bytes as they come.
    used = [k for k in ("file", "syslog", "journald") if log.get(k) not in (None, "", "none")]
    if used and log.get("mode") != "line":
        log["mode"] = "line"
        target.changed(
            target.draft.origin((*target.path, "log", used[0])),
            "each line there gets a time and the process before it",
            'log.format = "json" makes JSON lines',
        )


def _drop_dead_references(target: Target) -> None:
    tables, values = target.draft.tables, target.values
    others = set(tables.get("service", {})) - {target.name}
    sockets = set(tables.get("socket", {}))
    for key, known in (("needs", others), ("after", others), ("sockets", sockets)):
        if key not in values:
            continue
        for missing in [name for name in values[key] if name not in known]:
            _dead(target, key, missing)
        values[key] = [name for name in dict.fromkeys(values[key]) if name in known]
        if not values[key]:
            del values[key]
    if values.get("stdin_socket", "") not in sockets | {""}:
        _dead(target, "stdin_socket", values.pop("stdin_socket"))


def _dead(target: Target, key: str, missing: str) -> None:
    target.lost(
        target.draft.origin((*target.path, key)),
        f"{key}: there is no {missing!r} among the imported files",
        "import its file too, or add it by hand",
    )


def _break_cycles(draft: Draft) -> None:
    """`needs` comes from the source and stands; `after`, which may be ours, gives way."""
    services = draft.tables.get("service", {})
    for key in ("after", "needs"):
        while True:
            try:
                layers({n: [*t.get("needs", ()), *t.get("after", ())] for n, t in services.items()})
            except CycleError as cycle:
                pairs = pairwise(cycle.cycle)
                cut = next(((a, b) for a, b in pairs if b in services[a].get(key, ())), None)
                if cut is None:
                    break
                _cut(draft.table("service", cut[0]), key, cut[1])
            else:
                return


def _cut(target: Target, key: str, other: str) -> None:
    target.values[key].remove(other)
    if not target.values[key]:
        del target.values[key]
    target.lost(
        target.draft.origin((*target.path, key)),
        f"{key} {other!r} would close a ring of services that wait for each other",
        "decide which of them starts first",
    )


def _drop_invalid(draft: Draft) -> None:
    """Read the result as the supervisor will; take out what it would refuse."""
    paths: dict[str, KeyPath] = {}

    def place(path: KeyPath) -> str:
        name = ".".join(str(part) for part in path)
        paths[name] = path
        return name

    while found := read_spec(tomllib.loads(write_toml(_in_order(draft.tables))), place)[1]:
        dropped = _delete(draft.tables, paths[found[0].where])
        Target(draft, dropped[:2], {}).lost(
            draft.origin(dropped),
            f"would not be valid: {found[0].what}",
            found[0].hint or "set it by hand",
        )


def _delete(tables: dict[str, Any], path: KeyPath) -> tuple[str, ...]:
    """Delete the deepest existing key of a path; gives the path that was deleted."""
    here: Any = tables
    holder: Any = tables
    depth = 0
    for part in path:
        if not isinstance(here, dict) or part not in here:
            break
        holder, here, depth = here, here[part], depth + 1
    del holder[path[depth - 1]]
    return tuple(str(part) for part in path[:depth])


def _in_order(tables: dict[str, Any]) -> dict[str, Any]:
    """Sections and their keys in the order of the reference page."""
    first = ("project", "log", "dash", "socket", "service", "plugin")
    kept = {name: tables[name] for name in first if tables.get(name)}
    for section, kind in (("socket", Socket), ("service", Service)):
        order = [field.name for field in fields(kind)]
        for name, table in kept.get(section, {}).items():
            known = [key for key in order if key in table]
            ordered = {key: table[key] for key in [*known, *(k for k in table if k not in order)]}
            kept[section] = {**kept[section], name: ordered}
    return kept


def _comments(draft: Draft, title: str) -> dict[tuple[str, ...], list[str]]:
    comments: dict[tuple[str, ...], list[str]] = {
        (): [
            title,
            "Lines that begin with `lost` name what could not be kept, `changed` what differs.",
            "Then: chapiteau check, chapiteau up",
        ]
    }
    for kind in ("socket", "service", "plugin"):
        for name in draft.tables.get(kind, {}):
            origin = draft.origins.get((kind, name))
            comments[kind, name] = [_from(origin)] if origin else []
    for note, path in draft.notes.items():
        if path in comments and note.fate != "kept":
            comments[path] += _wrapped(note)
    return comments


def _from(origin: Option) -> str:
    return f"from {origin.where} {origin.section}".rstrip()


def _wrapped(note: Note) -> list[str]:
    text = f"{note.fate}: {note.setting} ({note.where}): {note.what}"
    return wrap(" ".join(text.split()), _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
