"""A whole supervisord.conf, with the files that it includes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chapiteau.migrate.draft import Draft, Target, expand_home, include_files
from chapiteau.migrate.finish import finish, ordered
from chapiteau.migrate.ini import Section, merge_sections, read_supervisord
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules, try_rule
from chapiteau.migrate.source import ImportOptions, Option, Source
from chapiteau.migrate.supervisord.expansion import Expansion, read_pairs
from chapiteau.migrate.supervisord.listeners import convert_listener
from chapiteau.migrate.supervisord.programs import Daemon, convert_program
from chapiteau.migrate.supervisord.rules import DAEMON, SECTIONS, SINGLE_OPTIONS
from chapiteau.migrate.values import boolean, integer, octal

__all__ = ["import_supervisord"]

_PROGRAMS = ("program", "fcgi-program")


def import_supervisord(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """One or several supervisord.conf files, with the files that they include.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    top = draft.table("project")
    files = [_read(source) for source in sources]
    for source, sections in zip(sources, list(files), strict=True):
        files += [_read(found) for found in _included(top, source, sections, choices)]
    sections = merge_sections(files, first_wins=False)
    for option in (o for s in sections for o in s.repeated):
        top.lost(option, "is given again; supervisord takes the last one", "delete one of the two")
    here = sources[0].folder if sources else ""
    daemon = _daemon(draft, sections, here)
    draft.table("log").set("keep", 10)  # supervisord's default
    made = _programs(draft, sections, daemon)
    _others(draft, sections, made)
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (supervisord).")


def _read(source: Source) -> list[Section]:
    """The sections, with `%(here)s` of an included file pointing at its own folder."""
    sections = read_supervisord(source)
    for section in sections:
        section.options = [
            Option(
                name=o.name,
                value=str(o.value).replace("%(here)s", source.folder.replace("%", "%%")),
                where=o.where,
                section=o.section,
            )
            for o in section.options
        ]
    return sections


def _included(
    top: Target, source: Source, sections: list[Section], choices: ImportOptions
) -> list[Source]:
    include = next((s for s in sections if s.name == "include"), None)
    option = include.get("files") if include else None
    if option is None:
        return []
    patterns = [pattern.replace("%%", "%") for pattern in str(option.value).split()]
    return include_files(top, source, option, patterns, choices)


def _daemon(draft: Draft, sections: list[Section], here: str) -> Daemon:
    section = next((s for s in sections if s.name == "supervisord"), None)
    if section is None:
        return Daemon(here=here, env={}, defaults={})
    top = draft.table("project")
    env: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    if environment := section.get("environment"):
        try:
            env = read_pairs(Expansion(values={"here": here}).fill(str(environment.value)))
        except ValueError as exc:
            top.lost(environment, f"its value can't be used: {exc}", "set env by hand")
    for key, ours, convert in (
        ("user", "user", str),
        ("directory", "cwd", lambda value: expand_home(str(value))),
        ("umask", "umask", octal),
    ):
        if option := section.get(key):
            if key != "user" and _stays_in_front(section):
                continue
            try:
                defaults[ours] = convert(option.value)
            except ValueError as exc:
                top.lost(option, f"its value can't be used: {exc}", f"set {ours} by hand")
    apply_rules(section.options, DAEMON, top)
    return Daemon(here=here, env=env, defaults=defaults)


def _stays_in_front(section: Section) -> bool:
    """supervisord heeds its umask and directory only when it goes into the background."""
    try:
        return boolean(section.value("nodaemon", "false"))
    except ValueError:
        return False


# ── programs and groups ───────────────────────────────────────────────────────────────────────
def _programs(draft: Draft, sections: list[Section], daemon: Daemon) -> dict[str, list[str]]:
    """The services that each program became."""
    became: dict[str, list[str]] = {}
    groups = [s for s in sections if s.name.startswith("group:")]
    members = _members(groups)
    ranks: list[tuple[str, tuple[int, int]]] = []
    for section in sections:
        kind, _, name = section.name.partition(":")
        if kind not in _PROGRAMS:
            continue
        group = members.get(name.strip())
        made = convert_program(draft, section, daemon, _name(group) if group else "")
        became[name.strip()] = list(made)
        own = _priority(draft, section)
        outer = _priority(draft, group) if group else own
        ranks += [(service, (outer, own)) for service in made]
    _order(draft, ranks)
    different = len({rank for _, rank in ranks}) > 1
    for section in [*groups, *(s for s in sections if s.name.partition(":")[0] in _PROGRAMS)]:
        _tell_priority(draft, section, different)
    for group in groups:
        _tell_group(draft, group, members)
        inside = [s.strip() for s in group.value("programs").split(",")]
        became.setdefault(_name(group), [n for one in inside for n in became.get(one, ())])
    return became


def _name(group: Section) -> str:
    return group.name.partition(":")[2].strip()


def _members(groups: list[Section]) -> Mapping[str, Section]:
    return {
        program.strip(): group
        for group in groups
        for program in group.value("programs").split(",")
        if program.strip()
    }


def _priority(draft: Draft, section: Section) -> int:
    try:
        return integer(section.value("priority", "999"))
    except ValueError:
        return 999  # reported by _tell_priority


def _order(draft: Draft, ranks: list[tuple[str, tuple[int, int]]]) -> None:
    levels = sorted({rank for _, rank in ranks})
    ordered(draft, [(name, levels.index(rank)) for name, rank in ranks])


def _tell_priority(draft: Draft, section: Section, different: bool) -> None:
    option = section.get("priority")
    if option is None:
        return
    top = draft.table("project")
    try:
        integer(option.value)
    except ValueError as exc:
        top.lost(option, f"its value can't be used: {exc}", "set `after` by hand")
        return
    if different:
        top.changed(
            option,
            "became `after`: services of a higher number start after those of the next lower one",
            "where one must be ready before the other starts, write needs = [...]",
        )
    else:
        top.kept(option, "all priorities are equal: no order")


def _tell_group(draft: Draft, group: Section, members: Mapping[str, Section]) -> None:
    top = draft.table("project")
    names = {s.strip() for s in group.value("programs").split(",")}
    known = {str(o.value) for p, o in draft.origins.items() if p[:1] == ("service",)}
    for option in group.options:
        if option.name == "programs":
            top.kept(option, "labels.group of its services")
            missing = sorted(n for n in names if n and not any(k.startswith(n) for k in known))
            if missing:
                top.lost(option, f"names programs that are not there: {', '.join(missing)}")
            for name in sorted(n for n in names if members.get(n, group) is not group):
                what = f"{name} is in group {_name(members[name])}, too, and ran once for each"
                top.lost(option, what, "write a second service with its command")
        elif option.name != "priority":
            top.lost(option, "is no option of a group", "delete it")


# ── the rest ──────────────────────────────────────────────────────────────────────────────────
def _others(draft: Draft, sections: list[Section], made: Mapping[str, list[str]]) -> None:
    top = draft.table("project")
    for section in sections:
        kind = section.name.partition(":")[0]
        if kind == "eventlistener":
            convert_listener(draft, section, made)
            continue
        rule = SECTIONS.get(kind)
        for option in section.options:
            if rule is not None:
                try_rule(
                    option, top, partial(SINGLE_OPTIONS.get((kind, option.name), rule), option, top)
                )
            elif section.name == "include":
                continue  # told of when its files were looked for
            elif kind not in (*_PROGRAMS, "group", "supervisord"):
                top.lost(option, "stands in a section that supervisord does not know", "delete it")
