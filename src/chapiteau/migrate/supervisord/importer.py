"""A whole supervisord.conf, with the files that it includes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chapiteau.migrate.draft import Draft, Target, expand_home, include_files
from chapiteau.migrate.finish import finish, note_priority, start_in_order
from chapiteau.migrate.ini import Section, merge_sections, read_supervisord
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, Source
from chapiteau.migrate.supervisord.listeners import convert_listener
from chapiteau.migrate.supervisord.programs import Daemon, convert_program
from chapiteau.migrate.supervisord.rules import TABLES, Expansion, read_pairs
from chapiteau.migrate.values import boolean, integer, octal

__all__ = ["import_supervisord"]

_PROGRAMS = ("program", "fcgi-program")


def import_supervisord(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """One or several supervisord.conf files, with the files that they include.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    files = [_read(source) for source in sources]
    for source, sections in zip(sources, list(files), strict=True):
        files += [_read(found) for found in _included(draft, source, sections, options)]
    sections = merge_sections(files, first_wins=False)
    for option in (o for s in sections for o in s.repeated):
        what = "is given again; supervisord takes the last one"
        draft.project.lost(option, what, "delete one of the two")
    daemon = _daemon(draft, sections, sources[0].folder if sources else "")
    draft.table("log").set("keep", 10)  # supervisord's default
    made = _programs(draft, sections, daemon)
    for section in sections:
        if section.kind == "eventlistener":
            convert_listener(draft, section, made)
        elif section.kind not in (*_PROGRAMS, "group", "supervisord", "include"):
            _other(draft.project, section)
    return finish(draft, sources, "supervisord")


def _read(source: Source) -> list[Section]:
    """The sections, with `%(here)s` of an included file pointing at its own folder."""
    sections = read_supervisord(source)
    here = source.folder.replace("%", "%%")
    for section in sections:
        section.options = [
            replace(o, value=str(o.value).replace("%(here)s", here)) for o in section.options
        ]
    return sections


def _included(
    draft: Draft, source: Source, sections: Sequence[Section], options: ImportOptions
) -> list[Source]:
    include = next((s for s in sections if s.name == "include"), None)
    option = include.get("files") if include else None
    if option is None:
        return []
    patterns = [pattern.replace("%%", "%") for pattern in str(option.value).split()]
    return include_files(draft, source, option, patterns, options)


def _daemon(draft: Draft, sections: Sequence[Section], here: str) -> Daemon:
    section = next((s for s in sections if s.name == "supervisord"), Section("supervisord", ""))
    top = draft.project
    env: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    if environment := section.get("environment"):
        with top.reading(environment, "set env by hand"):
            env = read_pairs(Expansion(values={"here": here}).fill(str(environment.value)))
    if user := section.get("user"):
        defaults["user"] = str(user.value)
    # supervisord heeds these only when it goes into the background.
    directory, umask = section.get("directory"), section.get("umask")
    if directory and not _stays_in_front(section):
        with top.reading(directory, "set cwd by hand"):
            defaults["cwd"] = expand_home(str(directory.value))
    if umask and not _stays_in_front(section):
        with top.reading(umask, "set umask by hand"):
            defaults["umask"] = octal(umask.value)
    apply_rules(section.options, TABLES["supervisord"], top)
    return Daemon(here=here, env=env, defaults=defaults)


def _stays_in_front(section: Section) -> bool:
    try:
        return boolean(section.value("nodaemon", "false"))
    except ValueError:
        return False


def _other(top: Target, section: Section) -> None:
    if section.kind in TABLES:
        apply_rules(section.options, TABLES[section.kind], top)
        return
    for option in section.options:
        top.lost(option, "is in a section that supervisord does not know", "delete it")


# ── programs and groups ───────────────────────────────────────────────────────────────────────
def _programs(draft: Draft, sections: Sequence[Section], daemon: Daemon) -> dict[str, list[str]]:
    """The services that each program or group became."""
    became: dict[str, list[str]] = {}
    groups = [s for s in sections if s.kind == "group"]
    members = {name: group for group in groups for name in _members(group)}
    programs = [s for s in sections if s.kind in _PROGRAMS]
    ranks: list[tuple[Target, tuple[int, int]]] = []
    for section in programs:
        group = members.get(section.label)
        made = convert_program(draft, section, daemon, group.label if group else "")
        became[section.label] = [service.name for service in made]
        own = _priority(section)
        outer = _priority(group) if group else own
        ranks += [(service, (outer, own)) for service in made]
    different = start_in_order(ranks)
    for section in [*groups, *programs]:
        _note_priority(draft.project, section, different)
    for group in groups:
        _note_group(draft.project, group, members, became)
        inside = [name for one in _members(group) for name in became.get(one, ())]
        became.setdefault(group.label, inside)
    return became


def _members(group: Section) -> list[str]:
    names = (name.strip() for name in group.value("programs").split(","))
    return [name for name in names if name]


def _priority(section: Section) -> int:
    try:
        return integer(section.value("priority", "999"))
    except ValueError:
        return 999  # reported by _note_priority


def _note_priority(top: Target, section: Section, different: bool) -> None:
    option = section.get("priority")
    if option is None:
        return
    with top.reading(option, "set `after` by hand"):
        integer(option.value)
        order = "services of a higher number start after those of the next lower one"
        note_priority(top, option, order, different=different)


def _note_group(
    top: Target, group: Section, members: Mapping[str, Section], became: Mapping[str, object]
) -> None:
    for option in group.without("priority"):
        if option.name != "programs":
            top.lost(option, "is no option of a group", "delete it")
            continue
        top.kept(option, "labels.group of its services")
        missing = sorted(name for name in _members(group) if name not in became)
        if missing:
            top.lost(option, f"names programs that are not there: {', '.join(missing)}")
        for name in sorted(n for n in _members(group) if members[n] is not group):
            what = f"{name} is in group {members[name].label}, too, and ran once for each"
            top.lost(option, what, "write a second service with its command")
