"""Rewrite a Python file's imports from Cornice; say what a person must look at. Pure."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Note", "Rewritten", "new_name", "rewrite"]

_ROOTS: Final = {
    "cornice": "chapiteau.cornice",
    "cornice_swagger": "chapiteau.cornice.swagger",
    "cornice_sphinx": "chapiteau.cornice.ext.sphinxext",
}
_FROM: Final = re.compile(r"from\s+([\w.]+)")
_DOTTED: Final = re.compile(r"(cornice|cornice_swagger|cornice_sphinx)(\.\w+)*")

Names = Callable[[str], frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Note:
    """One thing in a file: changed by us, or left for a person."""

    line: int
    what: str
    hint: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A file's new text, and what is to be said about it."""

    text: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    """New words for a piece of a file; columns count UTF-8 bytes, as ast does."""

    start: tuple[int, int]
    end: tuple[int, int]
    new: str
    note: Note


def new_name(dotted: str) -> str:
    """`cornice.util` → `chapiteau.cornice.util`; anything else as it is."""
    root, dot, rest = dotted.partition(".")
    return f"{_ROOTS[root]}{dot}{rest}" if root in _ROOTS else dotted


def rewrite(text: str, names: Names) -> Rewritten:
    """The file with new imports. Raises SyntaxError when it is not Python 3.

    `names` tells the public names of a module of ours, or None when there is no such module.
    """
    tree = ast.parse(text)
    lines = text.encode().splitlines(keepends=True)
    edits: list[_Edit] = []
    notes: list[Note] = []
    docstrings = _docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            edits += _import_from(node, lines)
            notes += _absent(node, names)
        elif isinstance(node, ast.Import):
            edits += _import(node, lines)
            notes += _absent_modules(node, names)
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            edits += _word(node, lines)
    new = _applied(lines, edits).decode()
    return Rewritten(text=new, notes=tuple(sorted([*notes, *(edit.note for edit in edits)])))


# ── what changes ────────────────────────────────────────────────────────────────────────────
def _import_from(node: ast.ImportFrom, lines: list[bytes]) -> Iterator[_Edit]:
    module = node.module or ""
    if node.level or module.partition(".")[0] not in _ROOTS:
        return
    line = lines[node.lineno - 1][node.col_offset :].decode()
    match = _FROM.match(line)
    if match is None or match[1] != module:  # a line break or a space inside the name
        return
    start = node.col_offset + len(line[: match.start(1)].encode())
    new = new_name(module)
    note = Note(line=node.lineno, what=f"from {module} → from {new}")
    yield _Edit((node.lineno, start), (node.lineno, start + len(module)), new, note)


def _import(node: ast.Import, lines: list[bytes]) -> Iterator[_Edit]:
    if not any(alias.name.partition(".")[0] in _ROOTS for alias in node.names):
        return
    kept = [alias for alias in node.names if alias.name.partition(".")[0] not in _ROOTS]
    words = [f"import {', '.join(_shown(alias) for alias in kept)}"] if kept else []
    words += dict.fromkeys(
        _binding(alias) for alias in node.names if alias.name.partition(".")[0] in _ROOTS
    )
    head = lines[node.lineno - 1][: node.col_offset].decode()
    # After other statements on the same line only a semicolon keeps the meaning.
    between = "; " if head.strip() else f"\n{head}"
    old = f"import {', '.join(_shown(alias) for alias in node.names)}"
    note = Note(line=node.lineno, what=f"{old} → {'; '.join(words)}")
    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    yield _Edit((node.lineno, node.col_offset), end, between.join(words), note)


def _binding(alias: ast.alias) -> str:
    """An import that binds the same word to our module."""
    if alias.asname:
        return f"import {new_name(alias.name)} as {alias.asname}"
    root = alias.name.partition(".")[0]
    # `import cornice.service` binds `cornice`; our package brings its modules along.
    if root == "cornice":
        return "from chapiteau import cornice"
    if root == "cornice_sphinx":
        return "from chapiteau.cornice.ext import sphinxext as cornice_sphinx"
    return "from chapiteau.cornice import swagger as cornice_swagger"


def _shown(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _word(node: ast.Constant, lines: list[bytes]) -> Iterator[_Edit]:
    """A module's name in quotes: `config.include("cornice")`, `patch("cornice.util.to_list")`."""
    value = node.value
    if not isinstance(value, str) or not _DOTTED.fullmatch(value):
        return
    # The plain word may be a project's own; a dotted one, or cornice_swagger, is the module's.
    line = lines[node.lineno - 1].decode()
    if value == "cornice" and "include" not in line:
        return
    raw = lines[node.lineno - 1][node.col_offset : node.end_col_offset]
    at = raw.find(value.encode())
    if node.end_lineno != node.lineno or at < 0:
        return
    start = node.col_offset + at
    new = new_name(value)
    note = Note(line=node.lineno, what=f'"{value}" → "{new}"')
    yield _Edit((node.lineno, start), (node.lineno, start + len(value)), new, note)


def _docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _applied(lines: list[bytes], edits: list[_Edit]) -> bytes:
    found = list(lines)
    for edit in sorted(edits, key=lambda e: e.start, reverse=True):
        first, last = edit.start[0] - 1, edit.end[0] - 1
        new = found[first][: edit.start[1]] + edit.new.encode() + found[last][edit.end[1] :]
        found[first : last + 1] = [new]
    return b"".join(found)


# ── what is left ────────────────────────────────────────────────────────────────────────────
def _absent(node: ast.ImportFrom, names: Names) -> Iterator[Note]:
    module = node.module or ""
    if node.level or module.partition(".")[0] not in _ROOTS:
        return
    known = names(new_name(module))
    if known is None:
        yield _no_module(node.lineno, module)
        return
    for alias in node.names:
        inner = names(f"{new_name(module)}.{alias.name}")
        if alias.name != "*" and alias.name not in known and inner is None:
            yield Note(
                line=node.lineno,
                what=f"{module} has {alias.name}, {new_name(module)} has not",
                hint="it is no documented name of Cornice: look for another way",
                left=True,
            )


def _absent_modules(node: ast.Import, names: Names) -> Iterator[Note]:
    for alias in node.names:
        if alias.name.partition(".")[0] in _ROOTS and names(new_name(alias.name)) is None:
            yield _no_module(node.lineno, alias.name)


def _no_module(line: int, module: str) -> Note:
    hint = "look for another way"
    return Note(line=line, what=f"{new_name(module)} does not exist", hint=hint, left=True)
