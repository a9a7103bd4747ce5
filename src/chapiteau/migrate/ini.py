"""Three dialects of ini files, read as their own programs read them, with the line of each option.

Circus and supervisord both stand on Python's configparser but bend it; systemd has its own. The
differences are small and matter: what a duplicate key does, where a comment may begin.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.migrate.source import Option, Source, unreadable

__all__ = ["Section", "merge_sections", "read_circus", "read_supervisord", "read_systemd"]

_HEADER: Final = re.compile(r"\[(?P<name>.+)\]")
_ENTRY: Final = re.compile(r"(?P<key>.*?)\s*[=:]\s*(?P<value>.*)$")


@dataclass(slots=True)
class Section:
    """One [section]: its options in their order, and those that its own program passes over."""

    name: str
    where: str
    options: list[Option] = field(default_factory=list)
    repeated: list[Option] = field(default_factory=list)

    @property
    def title(self) -> str:
        """As the report shows it."""
        return f"[{self.name}]"

    def get(self, name: str) -> Option | None:
        """An option by its name."""
        return next((o for o in self.options if o.name == name), None)

    def value(self, name: str, default: str = "") -> str:
        """The text of an option, or the default."""
        found = self.get(name)
        return default if found is None else str(found.value)


@dataclass(slots=True)
class _Entry:
    """An option that may still grow by continuation lines."""

    name: str
    where: str
    lines: list[str]

    def option(self, section: str, value: str) -> Option:
        return Option(name=self.name, value=value, where=self.where, section=section)


class _Reader:
    """Sections and entries while a file is read; complains about all bad lines at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.sections: dict[str, tuple[str, dict[str, _Entry], list[_Entry]]] = {}
        self.entries: dict[str, _Entry] | None = None
        self.repeated: list[_Entry] = []
        self.entry: _Entry | None = None
        self.bad: list[Problem] = []

    def open(self, name: str, number: int) -> None:
        where = self.source.where(number)
        _, self.entries, self.repeated = self.sections.setdefault(name, (where, {}, []))
        self.entry = None

    def complain(self, number: int, what: str) -> None:
        self.bad.append(Problem(self.source.where(number), what))

    def outside(self, number: int) -> Exception:
        return unreadable(
            self.source.where(number),
            "this line stands before any [section]",
            "is it really such a file? --from KIND says of which kind it is",
        )

    def finish(self) -> dict[str, tuple[str, dict[str, _Entry], list[_Entry]]]:
        raise_problems(self.source.name, self.bad)
        return self.sections


def read_circus(source: Source) -> list[Section]:
    """As circus 0.19 reads it: the first of two equal keys counts, a comment begins in column one
    with # ; or rem, or after a space with the first `;` of the line, `""` is empty.

    Raises UsageError with the line.
    """
    reader = _Reader(source)
    for number, line in enumerate(source.rows(), 1):
        if not line.strip() or line[0] in "#;":
            continue
        if line[0] in "rR" and line.split(None, 1)[0].lower() == "rem":
            continue
        if line[0].isspace() and reader.entry and reader.entry.name:
            reader.entry.lines.append(line.strip())
        elif header := _HEADER.match(line):
            reader.open(header["name"], number)
        elif reader.entries is None:
            raise reader.outside(number)
        else:
            _circus_entry(reader, line, number)
    return _sections(reader, "\n".join)


def _circus_entry(reader: _Reader, line: str, number: int) -> None:
    match = _ENTRY.match(line)
    if match is None or reader.entries is None:
        reader.complain(number, f"is neither a [section] nor `key = value`: {line.strip()!r}")
        return
    value = match["value"]
    cut = value.find(";")
    if cut > 0 and value[cut - 1].isspace():
        value = value[:cut]
    value = value.strip()
    entry = _Entry(
        match["key"].rstrip(), reader.source.where(number), ["" if value == '""' else value]
    )
    first = reader.entries.get(entry.name)
    if first is not None:
        reader.repeated.append(entry)
        # Circus appends continuation lines of the second one to the first.
        reader.entry = first
        return
    reader.entries[entry.name] = reader.entry = entry


def read_supervisord(source: Source) -> list[Section]:
    """As supervisord 4.3 reads it: the last of two equal keys counts, keys are lower-cased, ` ;`
    and ` #` begin a comment, indented lines continue.

    Raises UsageError with the line.
    """
    reader = _Reader(source)
    indent = 0
    for number, line in enumerate(source.rows(), 1):
        comment = _comment(line)
        value = line[:comment].strip()
        if not value:
            if comment is None and reader.entry is not None:
                reader.entry.lines.append("")
            continue
        depth = len(line) - len(line.lstrip())
        if reader.entry is not None and depth > indent:
            reader.entry.lines.append(value)
            continue
        indent = depth
        if header := _HEADER.match(value):
            reader.open(header["name"], number)
        elif reader.entries is None:
            raise reader.outside(number)
        else:
            _supervisord_entry(reader, value, number)
    return _sections(reader, lambda lines: "\n".join(lines).rstrip())


def _comment(line: str) -> int | None:
    """Where a comment begins, as configparser looks for it: the n-th `;` and the n-th `#` of the
    line are looked at together, and the first n with a space before one of them decides."""
    if line.strip()[:1] in ("#", ";"):
        return 0
    at = {";": -1, "#": -1}
    while at:
        at = {mark: line.find(mark, index + 1) for mark, index in at.items()}
        at = {mark: index for mark, index in at.items() if index >= 0}
        begins = [index for index in at.values() if index == 0 or line[index - 1].isspace()]
        if begins:
            return min(begins)
    return None


def _supervisord_entry(reader: _Reader, value: str, number: int) -> None:
    match = _ENTRY.match(value)
    if match is None or reader.entries is None or not match["key"]:
        reader.complain(number, f"is neither a [section] nor `key = value`: {value!r}")
        return
    entry = _Entry(
        match["key"].rstrip().lower(), reader.source.where(number), [match["value"].strip()]
    )
    if before := reader.entries.pop(entry.name, None):
        reader.repeated.append(before)
    reader.entries[entry.name] = reader.entry = entry


def _with_defaults(sections: list[Section]) -> Iterator[Section]:
    default = next((s for s in sections if s.name == "DEFAULT"), None)
    for section in sections:
        if section is default:
            continue
        for option in default.options if default else ():
            if section.get(option.name) is None:
                section.options.append(
                    Option(
                        name=option.name,
                        value=option.value,
                        where=option.where,
                        section=section.title,
                    )
                )
        yield section


def read_systemd(source: Source) -> list[Section]:
    """As systemd reads a unit file: every assignment in its order, `\\` at the end of a line goes
    on in the next one and becomes a space, comment lines may stand in between.

    What systemd warns about and ignores (no `=`, before any section) comes as an option with an
    empty name. Raises UsageError for a section that is not closed.
    """
    sections = [Section("", source.name)]
    for number, line in _joined(source):
        where = source.where(number)
        if line.startswith("["):
            if not line.endswith("]"):
                raise unreadable(where, f"a section that is not closed: {line!r}")
            sections.append(Section(line[1:-1], where))
            continue
        key, equals, value = line.partition("=")
        here = sections[-1]
        known = bool(equals) and bool(here.name)
        here.options.append(
            Option(
                name=key.strip() if known else "",
                value=value.strip() if known else line,
                where=where,
                section=here.title if here.name else "",
            )
        )
    return [s for s in sections if s.name or s.options]


def _joined(source: Source) -> Iterator[tuple[int, str]]:
    held, began = "", 0
    for number, row in enumerate(source.rows(), 1):
        line = row.strip()
        if not line or line[0] in "#;":
            if line or not held:
                continue
            yield began, held.strip()
            held = ""
            continue
        began = began if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield began, (held + line).strip()
        held = ""
    if held.strip():
        yield began, held.strip()


def _sections(reader: _Reader, join: Callable[[list[str]], str]) -> list[Section]:
    made = []
    for name, (where, entries, repeated) in reader.finish().items():
        options = [e.option(f"[{name}]", join(e.lines)) for e in entries.values()]
        again = [e.option(f"[{name}]", join(e.lines)) for e in repeated]
        made.append(Section(name, where, options, again))
    return made


def merge_sections(files: list[list[Section]], *, first_wins: bool) -> list[Section]:
    """The sections of several files as one: equal sections are joined, equal keys settled.

    [DEFAULT] of any of them is the fallback of every section of all.
    """
    merged: dict[str, Section] = {}
    for section in (s for sections in files for s in sections):
        before = merged.get(section.name)
        if before is None:
            merged[section.name] = section
            continue
        for option in section.options:
            old = before.get(option.name)
            if old is None:
                before.options.append(option)
            elif first_wins:
                before.repeated.append(option)
            else:
                before.options[before.options.index(old)] = option
                before.repeated.append(old)
        before.repeated += section.repeated
    return list(_with_defaults(list(merged.values())))
