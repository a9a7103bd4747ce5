"""Files that a configuration includes: which were found, and which patterns found none."""

from collections.abc import Iterable

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Choices, Option, Source

__all__ = ["include_files"]


def include_files(
    top: Target, source: Source, option: Option, patterns: Iterable[str], choices: Choices
) -> list[Source]:
    """What the patterns of an option find beside a source; a pattern without any file is lost.

    A file imported on another machine than its own has its other half there.
    """
    found: list[Source] = []
    for pattern in patterns:
        files = choices.beside(source, pattern)
        found += files
        if not files:
            what = f"{pattern}: there is no such file here, so nothing of it was imported"
            top.lost(option, what, "import where those files are, or name them beside this one")
    if found:
        top.kept(option, "the included files are part of this import")
    return found
