"""Three dialects of ini files, read as their own programs read them, with the line of each option.

Circus and supervisord both stand on Python's configparser but bend it; systemd has its own. The
differences are small and matter: what a duplicate key does, where a comment may begin.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.migrate.source import Option, Source, unreadable

__all__ = ["Section", "merge_sections", "read_circus", "read_supervisord", "read_systemd"]

_HEADER: Final = re.compile(r"\[(.+)\]")
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

    @property
    def kind(self) -> str:
        """`program` of [program:web]."""
        return self.name.partition(":")[0]

    @property
    def label(self) -> str:
        """`web` of [program:web]."""
        return self.name.partition(":")[2].strip()

    def get(self, name: str) -> Option | None:
        """An option by its name."""
        return next((o for o in self.options if o.name == name), None)

    def value(self, name: str, default: str = "") -> str:
        """The text of an option, or the default."""
        found = self.get(name)
        return default if found is None else str(found.value)

    def without(self, *names: str) -> list[Option]:
        """The options that have none of these names."""
        return [o for o in self.options if o.name not in names]

    def named(self, value: str, name: str = "name") -> Option:
        """The section's own name, as an option."""
        return Option(name=name, value=value, where=self.where, section=self.title)


class _Reader:
    """Sections and options while a file is read; complains about all bad lines at once."""

    def __init__(self, source: Source, *, first_wins: bool) -> None:
        self.source = source
        self.first_wins = first_wins
        self.sections: dict[str, Section] = {}
        self.entry: list[str] | None = None  # the lines of the option that may still grow
        self._section: Section | None = None
        self._lines: dict[int, list[str]] = {}  # of each option, by its id
        self._bad: list[Problem] = []

    def line(self, number: int, line: str) -> None:
        """A header or an option."""
        where = self.source.where(number)
        if header := _HEADER.match(line):
            name = header[1]
            self._section = self.sections.setdefault(name, Section(name, where))
            self.entry = None
            return
        if self._section is None:
            hint = "is it really such a file? --from KIND sets the kind"
            raise unreadable(where, "this line stands before any [section]", hint)
        match = _ENTRY.match(line)
        if match is None or not match["key"]:
            what = f"is neither a [section] nor `key = value`: {line.strip()!r}"
            self._bad.append(Problem(where, what))
            return
        self._add(self._section, self.option(match["key"], match["value"], where))

    def option(self, key: str, value: str, where: str) -> Option:
        """As Circus has it: a comment begins after a space with the first `;`, `""` is empty."""
        cut = value.find(";")
        value = value[:cut] if cut > 0 and value[cut - 1].isspace() else value
        value = "" if value.strip() == '""' else value.strip()
        return Option(name=key.rstrip(), value=value, where=where)

    def _add(self, section: Section, option: Option) -> None:
        option = replace(option, section=section.title)
        before = section.get(option.name)
        self._lines[id(option)] = [option.value]
        if before is None:
            section.options.append(option)
        elif self.first_wins:
            section.repeated.append(option)
            option = before  # Circus appends continuation lines of the second one to the first
        else:
            section.options.remove(before)
            section.options.append(option)
            section.repeated.append(before)
        self.entry = self._lines[id(option)]

    def finish(self) -> list[Section]:
        raise_problems(self.source.name, self._bad)
        for section in self.sections.values():
            section.options = [self._whole(option) for option in section.options]
            section.repeated = [self._whole(option) for option in section.repeated]
        return list(self.sections.values())

    def _whole(self, option: Option) -> Option:
        return replace(option, value="\n".join(self._lines[id(option)]).rstrip("\n"))


def read_circus(source: Source) -> list[Section]:
    """As circus 0.19 reads it: the first of two equal keys counts, a comment begins in column one
    with # ; or rem, or after a space with the first `;` of the line.

    Raises UsageError with the line.
    """
    reader = _Reader(source, first_wins=True)
    for number, line in enumerate(source.rows(), 1):
        if not line.strip() or line[0] in "#;":
            continue
        if line[0] in "rR" and line.split(None, 1)[0].lower() == "rem":
            continue
        if line[0].isspace() and reader.entry is not None:
            reader.entry.append(line.strip())
        else:
            reader.line(number, line)
    return reader.finish()


class _SupervisordReader(_Reader):
    def option(self, key: str, value: str, where: str) -> Option:
        return Option(name=key.rstrip().lower(), value=value.strip(), where=where)


def read_supervisord(source: Source) -> list[Section]:
    """As supervisord 4.3 reads it: the last of two equal keys counts, keys are lower-cased, ` ;`
    and ` #` begin a comment, indented lines continue.

    Raises UsageError with the line.
    """
    reader = _SupervisordReader(source, first_wins=False)
    indent = 0
    for number, line in enumerate(source.rows(), 1):
        comment = _comment(line)
        value = line[:comment].strip()
        depth = len(line) - len(line.lstrip())
        if not value:
            if comment is None and reader.entry is not None:
                reader.entry.append("")
        elif reader.entry is not None and depth > indent:
            reader.entry.append(value)
        else:
            indent = depth
            reader.line(number, value)
    return reader.finish()


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
        title = here.title if here.name else ""
        if not equals or not here.name:
            key, value = "", line
        option = Option(name=key.strip(), value=value.strip(), where=where, section=title)
        here.options.append(option)
    return [s for s in sections if s.name or s.options]


def _joined(source: Source) -> Iterator[tuple[int, str]]:
    held, began = "", 0
    for number, row in enumerate([*source.rows(), ""], 1):
        line = row.strip()
        if line[:1] in ("#", ";"):
            continue
        began = began if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        held = (held + line).strip()
        if held:
            yield began, held
        held = ""


def merge_sections(files: Iterable[list[Section]], *, first_wins: bool) -> list[Section]:
    """The sections of several files as one: equal sections are joined, equal keys settled.

    [DEFAULT] of any of them is the fallback of every section of all.
    """
    merged: dict[str, Section] = {}
    for section in (s for sections in files for s in sections):
        before = merged.setdefault(section.name, section)
        if before is section:
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
    default = merged.pop("DEFAULT", Section("DEFAULT", ""))
    for section in merged.values():
        for option in default.options:
            if section.get(option.name) is None:
                section.options.append(replace(option, section=section.title))
    return list(merged.values())
