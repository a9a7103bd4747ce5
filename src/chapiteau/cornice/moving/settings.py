"""Rewrite `pyramid.includes` in an INI file; find Cornice among a project's requirements. Pure."""

import re
from typing import Final

from chapiteau.cornice.moving.rewriting import Note, Rewritten, new_name

__all__ = ["requirements", "rewrite_ini"]

_INCLUDES: Final = re.compile(r"\s*pyramid\.includes\s*=")
_WORD: Final = re.compile(r"(?<![\w.])(cornice|cornice_swagger)(?![\w.])")
_REQUIREMENT: Final = re.compile(r"(?i)(?<![\w.-])(cornice[-_.]swagger|cornice)(?![\w.-])")


def rewrite_ini(text: str) -> Rewritten:
    """The file with our names in `pyramid.includes`, on its line and on those indented below."""
    lines, notes = [], []
    inside = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        inside = bool(_INCLUDES.match(line)) or (inside and line[:1] in (" ", "\t"))
        new = _WORD.sub(lambda m: new_name(m[1]), line) if inside else line
        if new != line:
            notes.append(Note(line=number, what=f"{line.strip()} → {new.strip()}"))
        lines.append(new)
    return Rewritten(text="".join(lines), notes=tuple(notes))


def requirements(text: str) -> tuple[Note, ...]:
    """Lines of a requirements file, pyproject.toml or setup file that ask for Cornice."""
    return tuple(
        Note(
            line=number,
            what=f"asks for {match[1]}: {line.strip()}",
            hint="ask for chapiteau[cornice] instead",
            left=True,
        )
        for number, line in enumerate(text.splitlines(), 1)
        if (match := _REQUIREMENT.search(line))
        and not line.lstrip().startswith("#")
        and "chapiteau" not in line
    )
