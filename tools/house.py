"""Keeps the house light: sizes (docs/explanation/house.md) and words (tools/words.py).

    python tools/house.py [FOLDER]    prints what is too big, and where; exit code 1 then

The limits are aims, not fences: a thing that must be bigger gets a line in EXCEPTIONS, with the
reason, in the commit that makes it so. Generated files say "generated" in their first line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tools.words import refused

__all__ = [
    "BODY_LINES",
    "EXCEPTIONS",
    "FILE_LINES",
    "FOLDER_FILES",
    "INIT_LINES",
    "PARAMETERS",
    "PUBLIC_METHODS",
    "Finding",
    "measure",
]

FILE_LINES: Final = 510
TEST_LINES: Final = 610
INIT_LINES: Final = 130
BODY_LINES: Final = 60
FOLDER_FILES: Final = 26
PUBLIC_METHODS: Final = 30
PARAMETERS: Final = 9

SOURCES: Final = ("src/chapiteau", "tools", "examples")
TESTS: Final = ("tests",)
PAGES: Final = ("ui/src",)

_COUNTED: Final = {".py", ".ts", ".tsx"}

# "place: what", as it is printed → (what it may be, why)
EXCEPTIONS: Final[dict[str, tuple[int, str]]] = {}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is bigger than the house allows."""

    place: str
    what: str
    size: int
    limit: int

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: {self.size}, at most {self.limit}"


def measure(root: Path) -> list[Finding]:
    """Everything below `root` that is too big."""
    found: list[Finding] = []
    for folder in (*SOURCES, *TESTS):
        limit = TEST_LINES if folder in TESTS else FILE_LINES
        for path in sorted((root / folder).rglob("*.py")):
            found += _file(path, root, limit)
    for folder in PAGES:
        for path in sorted((root / folder).rglob("*.ts*")):
            found += _lines(path, root, FILE_LINES)
    for folder in (*SOURCES, *PAGES):
        found += _folders(root / folder, root)
    return sorted(f for f in found if f.size > f.limit)


def _file(path: Path, root: Path, limit: int) -> Iterator[Finding]:
    text = path.read_text(encoding="utf-8")
    if "generated" in text.partition("\n")[0]:
        return
    name = str(path.relative_to(root))
    yield from _lines(path, root, INIT_LINES if path.name == "__init__.py" else limit)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function(node, name)
        elif isinstance(node, ast.ClassDef):
            public = [
                n.name
                for n in node.body
                if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name[0] != "_"
            ]
            place = f"{name}::{node.name}"
            if node.name[0] != "_":
                yield _finding(place, "public methods", len(public), PUBLIC_METHODS)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Iterator[Finding]:
    if name.startswith(TESTS):
        return  # a story from beginning to end may be long; its file may not
    place = f"{name}::{node.name}"
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if body:
        size = (body[-1].end_lineno or 0) - body[0].lineno + 1
        yield _finding(place, "lines in the body", size, BODY_LINES)
    if any("option" in ast.unparse(d) for d in node.decorator_list):
        return  # command-line options are parameters that nobody passes by hand
    given = node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    count = sum(n not in {"self", "cls"} for n in names)
    yield _finding(place, "parameters", count, PARAMETERS)


def _lines(path: Path, root: Path, limit: int) -> Iterator[Finding]:
    count = path.read_text(encoding="utf-8").count("\n")
    yield _finding(str(path.relative_to(root)), "lines", count, limit)


def _folders(top: Path, root: Path) -> Iterator[Finding]:
    folders = [top, *(p for p in top.rglob("*") if p.is_dir())] if top.is_dir() else []
    for folder in folders:
        if "static" in folder.parts or "node_modules" in folder.parts:
            continue
        files = [p for p in folder.iterdir() if p.suffix in _COUNTED and p.name != "__init__.py"]
        yield _finding(str(folder.relative_to(root)), "files", len(files), FOLDER_FILES)


def _finding(place: str, what: str, size: int, limit: int) -> Finding:
    return Finding(place, what, size, EXCEPTIONS.get(f"{place}: {what}", (limit, ""))[0])


def main(folder: str = ".") -> int:
    """Print what is too big; 1 when there is any such thing."""
    root = Path(folder).resolve()
    found = [*map(str, measure(root)), *refused(root)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
