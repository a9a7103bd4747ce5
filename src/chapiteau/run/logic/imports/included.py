"""What more than one place says: files that are included, and keys that are given twice."""

from collections.abc import Iterable

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Choices, Option, Source, Tree

__all__ = ["include_files", "tell_repeated"]


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


def tell_repeated(top: Target, source: Source, tree: Tree) -> None:
    """Keys of a tree that stand again further down: the last of them counts."""
    for line, path in tree.repeated:
        name = ".".join(str(part) for part in path)
        option = Option(name=name, value="", where=source.where(line))
        top.lost(option, "is given again; the last one counts", "delete one of the two")
