"""The last steps of every import: references, start order, a check of the whole, the text."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from itertools import pairwise
from textwrap import wrap
from typing import Any, Final

from chapiteau.core.fields import Path as KeyPath
from chapiteau.core.graph import CycleError, layers
from chapiteau.io.toml_writer import write_toml
from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.report import ImportResult, LedgerEntry
from chapiteau.migrate.source import Option
from chapiteau.run.config.load import read_spec
from chapiteau.run.config.spec import Service, Socket

__all__ = ["finish", "ordered"]

_WIDTH: Final = 96
_TERMINAL: Final = re.compile(r"/dev/(?:stdout|stderr|tty|fd/[12])|/proc/(?:self|1)/fd/[12]")
_SET_UID: Final = frozenset({"sudo", "su", "doas", "pkexec", "ping", "mount", "umount", "newgrp"})


def ordered(draft: Draft, ranks: Iterable[tuple[str, float]]) -> None:
    """Let each service start `after` those of the next lower rank.

    Services of one rank start together. Where all ranks are equal nothing is written.
    """
    groups: dict[float, list[str]] = {}
    for name, rank in ranks:
        groups.setdefault(rank, []).append(name)
    levels = sorted(groups)
    for before, level in pairwise(levels):
        for name in groups[level]:
            service = draft.table("service", name)
            wanted = [*(service.get("after") or ()), *groups[before]]
            service.set("after", list(dict.fromkeys(wanted)))


def finish(draft: Draft, title: str) -> ImportResult:
    """The new file's text and the account of everything.

    What would make the file invalid is taken out again and reported as lost, so that the result
    can always be read.
    """
    _drop_empty_services(draft)
    _keep_rights(draft)
    _keep_off_devices(draft)
    _use_line_mode(draft)
    _anchor_logs(draft)
    _drop_dead_references(draft)
    _break_cycles(draft)
    _drop_invalid(draft)
    ledger = draft.ledger
    return ImportResult(
        toml=write_toml(_in_order(draft.tables), _comments(draft, title)),
        kept=ledger.notes("kept"),
        changed=ledger.notes("changed"),
        lost=ledger.notes("lost"),
    )


def _in_order(tables: dict[str, Any]) -> dict[str, Any]:
    first = ("project", "log", "dash", "socket", "service", "plugin")
    kept = {name: tables[name] for name in first if tables.get(name)}
    for section, kind in (("socket", Socket), ("service", Service)):
        if section in kept:
            kept[section] = {n: _as_declared(t, kind) for n, t in kept[section].items()}
    return kept


def _as_declared(table: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """The keys in the order of the reference page: what is run comes first."""
    order = [field.name for field in fields(kind)]
    known = [key for key in order if key in table]
    return {key: table[key] for key in [*known, *(k for k in table if k not in order)]}


def _drop_empty_services(draft: Draft) -> None:
    services = draft.tables.get("service", {})
    for name in [n for n, table in services.items() if not table.get("command")]:
        target = draft.table("service", name)
        target.lost(
            _origin(draft, ("service", name)), "has no command, so it is left out", "give it one"
        )
        del services[name]


def _keep_rights(draft: Draft) -> None:
    """Elsewhere set-uid programs work by default; where a command needs that, it goes on."""
    for name, table in draft.tables.get("service", {}).items():
        command = table["command"]
        used = command.split() if isinstance(command, str) else command
        if "no_new_privs" not in table and any(w.rpartition("/")[2] in _SET_UID for w in used):
            target = draft.table("service", name)
            target.set("no_new_privs", False)
            target.changed(
                _origin(draft, ("service", name)),
                "its command uses a set-uid program: no_new_privs is switched off",
                "Chapiteau lets set-uid programs gain nothing by default",
            )


def _keep_off_devices(draft: Draft) -> None:
    """A terminal or /dev/null is no file that could be rotated."""
    for name, table in draft.tables.get("service", {}).items():
        log = table.get("log", {})
        path = str(log.get("file", ""))
        if path != "/dev/null" and not _TERMINAL.fullmatch(path):
            continue
        log["file"] = "none"
        if path != "/dev/null":
            draft.table("service", name).changed(
                _origin(draft, ("service", name, "log", "file")),
                "output goes to the terminal while `chapiteau up` is in front",
            )


def _use_line_mode(draft: Draft) -> None:
    """A file of one's own, syslog and journald take lines, not bytes as they come."""
    for name, table in draft.tables.get("service", {}).items():
        log = table.get("log", {})
        wanted = [k for k in ("file", "syslog", "journald") if log.get(k) not in (None, "", "none")]
        if wanted and log.get("mode") != "line":
            log["mode"] = "line"
            draft.table("service", name).changed(
                _origin(draft, ("service", name, "log", wanted[0])),
                "each line there gets a time and the process before it",
                'log.format = "json" makes JSON lines',
            )


def _anchor_logs(draft: Draft) -> None:
    """A log file's path starts at the file's folder elsewhere, at RUN_DIR/log here."""
    for table in draft.tables.get("service", {}).values():
        log = table.get("log", {})
        path = log.get("file", "")
        if path and path != "none" and not path.startswith(("/", "${")):
            log["file"] = f"${{project.dir}}/{path.removeprefix('./')}"


def _drop_dead_references(draft: Draft) -> None:
    known = {kind: set(draft.tables.get(kind, {})) for kind in ("service", "socket")}
    for name, table in draft.tables.get("service", {}).items():
        target = draft.table("service", name)
        for key, others in (
            ("needs", known["service"] - {name}),
            ("after", known["service"] - {name}),
            ("sockets", known["socket"]),
        ):
            if key in table:
                _only_known(draft, target, key, others)
        if table.get("stdin_socket", "") not in known["socket"] | {""}:
            _dead(draft, target, "stdin_socket", table.pop("stdin_socket"))


def _only_known(draft: Draft, target: Target, key: str, known: set[str]) -> None:
    for missing in [n for n in target.values[key] if n not in known]:
        _dead(draft, target, key, missing)
    left = [n for n in dict.fromkeys(target.values[key]) if n in known]
    if left:
        target.values[key] = left
    else:
        del target.values[key]


def _dead(draft: Draft, target: Target, key: str, missing: str) -> None:
    target.lost(
        _origin(draft, (*target.path, key)),
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
                _cut(draft, key, *cut)
            else:
                return


def _cut(draft: Draft, key: str, name: str, other: str) -> None:
    target = draft.table("service", name)
    target.values[key] = [n for n in target.values[key] if n != other]
    if not target.values[key]:
        del target.values[key]
    target.lost(
        _origin(draft, (*target.path, key)),
        f"{key} {other!r} would close a ring of services that wait for each other",
        "say by hand which of them starts first",
    )


def _drop_invalid(draft: Draft) -> None:
    """Read the result as the supervisor will; take out what it would refuse."""
    while True:
        paths = _Paths()
        written = tomllib.loads(write_toml(_in_order(draft.tables)))
        found = read_spec(written, paths)[1]
        if not found:
            return
        dropped = _delete(draft.tables, paths.known[found[0].where])
        table = tuple(str(p) for p in dropped[:2])
        Target(draft, table, {}).lost(
            _origin(draft, tuple(str(p) for p in dropped)),
            f"would not be valid: {found[0].what}",
            found[0].hint or "set it by hand",
        )


class _Paths:
    """Stands in for the places of a file: remembers which path a problem is about."""

    def __init__(self) -> None:
        self.known: dict[str, KeyPath] = {}

    def __call__(self, path: KeyPath) -> str:
        name = ".".join(str(part) for part in path)
        self.known[name] = path
        return name


def _delete(tables: dict[str, Any], path: KeyPath) -> KeyPath:
    """Delete the deepest existing key of a path; gives the path that was deleted."""
    here: Any = tables
    holder: Any = tables
    depth = 0
    for part in path:
        if not isinstance(here, dict) or part not in here:
            break
        holder, here, depth = here, here[part], depth + 1
    del holder[path[depth - 1]]
    return path[:depth]


def _origin(draft: Draft, path: tuple[str, ...]) -> Option:
    for length in range(len(path), 0, -1):
        if found := draft.origins.get(path[:length]):
            return found
    return Option(name=".".join(path), value="", where="")


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
            path = (kind, name)
            origin = draft.origins.get(path)
            head = [f"from {origin.where} {origin.section}".rstrip()] if origin else []
            comments[path] = head + [
                line for fate in draft.ledger.about(path) for line in _wrapped(fate)
            ]
    return comments


def _wrapped(fate: LedgerEntry) -> list[str]:
    text = f"{fate.kind}: {fate.note.setting} ({fate.note.where}): {fate.note.what}"
    return wrap(" ".join(text.split()), _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
