"""A whole circus.ini, with the files that it includes."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from chapiteau.migrate.circus.plugins import convert_plugins
from chapiteau.migrate.circus.rules import DAEMON, SOCKET
from chapiteau.migrate.circus.watchers import convert_watcher, fill_variables, order_watchers
from chapiteau.migrate.draft import Draft, Target, include_files
from chapiteau.migrate.finish import finish
from chapiteau.migrate.ini import Section, merge_sections, read_circus
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, Option, Source
from chapiteau.migrate.values import integer

__all__ = ["import_circus"]


def import_circus(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """One or several circus.ini files, with the files that they include.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    files = [read_circus(source) for source in sources]
    for source, sections in zip(sources, list(files), strict=True):
        files += [read_circus(s) for s in _included(draft, source, sections, choices)]
    sections = fill_variables(merge_sections(files, first_wins=True))
    _repeated(draft, sections)
    daemon = next((s for s in sections if s.name == "circus"), None)
    if daemon:
        _daemon(draft, daemon)
    for section in sections:
        if section.name.startswith("socket:"):
            _socket(draft, section)
    watchers = [s for s in sections if s.name.startswith("watcher:") and s.options]
    for section in watchers:
        convert_watcher(draft, section, sections)
    order_watchers(draft, watchers)
    convert_plugins(draft, sections)
    _rest(draft, sections)
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (Circus).")


def _included(
    draft: Draft, source: Source, sections: list[Section], choices: ImportOptions
) -> list[Source]:
    daemon = next((s for s in sections if s.name == "circus"), None)
    found: list[Source] = []
    for key, ending in (("include", ""), ("include_dir", "/*.ini")):
        option = daemon.get(key) if daemon else None
        if option is None:
            continue
        patterns = [f"{name.rstrip('/')}{ending}" for name in str(option.value).split()]
        found += include_files(draft.table("project"), source, option, patterns, choices)
        if not patterns:
            draft.table("project").kept(option, "is empty: nothing is included")
    return found


def _repeated(draft: Draft, sections: list[Section]) -> None:
    top = draft.table("project")
    for option in (o for s in sections for o in s.repeated):
        top.lost(option, "was given before; Circus takes the first one", "delete one of the two")


def _daemon(draft: Draft, section: Section) -> None:
    options = [o for o in section.options if o.name not in ("include", "include_dir")]
    apply_rules(options, DAEMON, draft.table("project"))


_KINDS: Final = frozenset({"socket", "watcher", "env", "plugin"})


def _rest(draft: Draft, sections: list[Section]) -> None:
    for section in sections:
        kind = section.name.partition(":")[0]
        if section.name not in ("circus", "env") and kind not in _KINDS:
            for option in section.options:
                draft.table("project").lost(
                    option, "stands in a section that Circus does not know", "delete it"
                )
    for section in sections:
        if section.name.startswith("env:") and not _matching(draft, section):
            for option in section.options:
                draft.table("project").lost(
                    option, "is for watchers that do not exist", "delete it"
                )


def _matching(draft: Draft, section: Section) -> list[str]:
    patterns = [p.strip() for p in section.name.removeprefix("env:").split(",")]
    return [
        name
        for (kind, *rest), origin in draft.origins.items()
        if kind == "service" and len(rest) == 1
        for name in [str(origin.value)]
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


# ── sockets ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, section: Section) -> None:
    name = section.name.removeprefix("socket:").lower()
    target = draft.named(
        "socket", Option(name="name", value=name, where=section.where, section=section.title)
    )
    apply_rules(section.options, SOCKET, target)
    path, host = section.value("path"), section.value("host", "localhost")
    if path:
        target.values.pop("host", None)
        target.values.pop("port", None)
        _socket_rights(target, section)
        return
    target.values.setdefault("port", 8080)  # Circus's default
    if host == "localhost":
        inet6 = section.value("family").upper() == "AF_INET6"
        target.values["host"] = "::1" if inet6 else "127.0.0.1"


def _socket_rights(target: Target, section: Section) -> None:
    umask = section.get("umask")
    if umask is None:
        return
    try:
        mode = 0o777 & ~integer(umask.value)
    except ValueError:
        return  # reported by the rule
    target.set("mode", f"{mode:04o}", umask)
    target.changed(
        umask,
        f"Circus reads it as a decimal number, so the socket had the rights {mode:04o}: kept",
        f'if the octal {umask.value} was meant, write mode = "{_meant(str(umask.value))}"',
    )


def _meant(umask: str) -> str:
    try:
        return f"{0o777 & ~int(umask, 8):04o}"
    except ValueError:
        return "0770"
