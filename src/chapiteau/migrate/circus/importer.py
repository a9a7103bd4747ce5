"""A whole circus.ini, with the files that it includes."""

from collections.abc import Sequence
from contextlib import suppress

from chapiteau.migrate.circus.plugins import convert_plugins
from chapiteau.migrate.circus.rules import TABLES, fill_variables, is_for
from chapiteau.migrate.circus.watchers import convert_watcher, order_watchers
from chapiteau.migrate.draft import Draft, Target, include_files
from chapiteau.migrate.finish import finish
from chapiteau.migrate.ini import Section, merge_sections, read_circus
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, Option, Source
from chapiteau.migrate.values import integer

__all__ = ["import_circus"]


def import_circus(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """One or several circus.ini files, with the files that they include.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    files = [read_circus(source) for source in sources]
    for source, sections in zip(sources, list(files), strict=True):
        files += [read_circus(found) for found in _included(draft, source, sections, options)]
    sections = merge_sections(files, first_wins=True)
    fill_variables(sections)
    for option in (o for s in sections for o in s.repeated):
        what = "was given before; Circus takes the first one"
        draft.project.lost(option, what, "delete one of the two")
    daemon = next((s for s in sections if s.name == "circus"), Section("circus", ""))
    apply_rules(daemon.without("include", "include_dir"), TABLES["circus"], draft.project)
    for section in sections:
        if section.kind == "socket":
            _socket(draft, section)
    watchers = [s for s in sections if s.kind == "watcher" and s.options]
    services = [(convert_watcher(draft, one, daemon, sections), one) for one in watchers]
    order_watchers(services)
    convert_plugins(draft, sections)
    _rest(draft, sections)
    return finish(draft, sources, "Circus")


def _included(
    draft: Draft, source: Source, sections: Sequence[Section], options: ImportOptions
) -> list[Source]:
    daemon = next((s for s in sections if s.name == "circus"), Section("circus", ""))
    found: list[Source] = []
    for key, ending in (("include", ""), ("include_dir", "/*.ini")):
        if (option := daemon.get(key)) is None:
            continue
        patterns = [f"{name.rstrip('/')}{ending}" for name in str(option.value).split()]
        found += include_files(draft, source, option, patterns, options)
        if not patterns:
            draft.project.kept(option, "is empty: nothing is included")
    return found


def _rest(draft: Draft, sections: Sequence[Section]) -> None:
    watchers = [s.label for s in sections if s.kind == "watcher"]
    for section in sections:
        what = ""
        if section.kind not in ("circus", "socket", "watcher", "env", "plugin"):
            what = "is in a section that Circus does not know"
        elif section.name.startswith("env:") and not any(is_for(section, w) for w in watchers):
            what = "is for watchers that do not exist"
        for option in section.options if what else ():
            draft.project.lost(option, what, "delete it")


# ── sockets ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, section: Section) -> None:
    target = draft.named("socket", section.named(section.label.lower()))
    apply_rules(section.options, TABLES["socket"], target)
    path, host = section.value("path"), section.value("host", "localhost")
    if path:
        target.values.pop("host", None)
        target.values.pop("port", None)
        if umask := section.get("umask"):
            _socket_mode(target, umask)
        return
    target.values.setdefault("port", 8080)  # Circus's default
    if host == "localhost":
        inet6 = section.value("family").upper() == "AF_INET6"
        target.values["host"] = "::1" if inet6 else "127.0.0.1"


def _socket_mode(target: Target, umask: Option) -> None:
    with target.reading(umask):
        mode = f"{0o777 & ~integer(umask.value):04o}"
        meant = "0770"
        with suppress(ValueError):
            meant = f"{0o777 & ~int(str(umask.value), 8):04o}"
        target.set("mode", mode, umask)
        target.changed(
            umask,
            f"Circus reads it as a decimal number, so the socket had the mode {mode}: kept",
            f'if the octal {umask.value} was meant, write mode = "{meant}"',
        )
