"""Names of Cornice's modules in quotes: which are meant as such, and which are in doubt. Pure."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["ROOTS", "Edit", "Names", "Note", "Rewritten", "applied", "new_name", "quoted"]


# What is said about a file that moves in, and new words for pieces of it. Pure.

ROOTS: Final = {
    "cornice": "chapiteau.cornice",
    "cornice_swagger": "chapiteau.cornice.swagger",
    "cornice_sphinx": "chapiteau.cornice.ext.sphinxext",
}

# The public names of a module of ours, or None when there is no such module.
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
class Edit:
    """New words for a piece of a file; columns count UTF-8 bytes, as ast does."""

    start: tuple[int, int]
    end: tuple[int, int]
    new: str
    note: Note


def new_name(dotted: str) -> str:
    """`cornice.util` → `chapiteau.cornice.util`; anything else as it is."""
    root, dot, rest = dotted.partition(".")
    return f"{ROOTS[root]}{dot}{rest}" if root in ROOTS else dotted


def applied(lines: list[bytes], edits: list[Edit]) -> bytes:
    """The file with its pieces replaced."""
    found = list(lines)
    for edit in sorted(edits, key=lambda e: e.start, reverse=True):
        first, last = edit.start[0] - 1, edit.end[0] - 1
        new = found[first][: edit.start[1]] + edit.new.encode() + found[last][edit.end[1] :]
        found[first : last + 1] = [new]
    return b"".join(found)


_DOTTED: Final = re.compile(r"(cornice|cornice_swagger|cornice_sphinx)(\.\w+)*")
_ONE_OF: Final = re.compile(r"(?<![\w.])(cornice|cornice_swagger)(?![\w.])")
# Functions whose argument is a module's name, and functions that ask for a distribution.
_TAKE_MODULES: Final = frozenset({
    "include", "import_module", "__import__", "find_spec", "importorskip", "maybe_dotted", "scan",
})  # fmt: skip
_TAKE_DISTRIBUTIONS: Final = frozenset({"version", "distribution", "get_distribution", "require"})
_INCLUDES: Final = "pyramid.includes"


def quoted(tree: ast.AST, lines: list[bytes], names: Names) -> tuple[list[Edit], list[Note]]:
    """New words for module names in quotes, and what a person must decide."""
    edits: list[Edit] = []
    notes: list[Note] = []
    seen = _docstrings(tree)
    called = _called(tree)
    lists = _in_lists(tree) if _includes_by_variable(tree) else set()
    for setting in _included(tree):
        seen.add(id(setting))
        edits += _replaced(setting, lines, _several)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in seen:
            continue
        value = node.value
        if not isinstance(value, str) or not _DOTTED.fullmatch(value):
            continue
        if called.get(id(node)) in _TAKE_DISTRIBUTIONS:
            notes.append(_doubt(node, f'asks for the distribution "{value}"'))
        elif _is_module(value, called.get(id(node)), names):
            edits += _replaced(node, lines, new_name)
        elif value == "cornice" and id(node) in lists:
            notes.append(_doubt(node, 'has "cornice" in a list, and includes by a variable'))
        elif "." in value and called.get(id(node)) in _TAKE_MODULES:
            notes.append(_doubt(node, f"{new_name(value)} does not exist"))
    return edits, notes


def _is_module(value: str, called: str | None, names: Names) -> bool:
    """The plain word may be a project's own, a dotted one a setting or a logger."""
    if value == "cornice":
        return called in _TAKE_MODULES
    module, rest = new_name(value), ""
    while (known := names(module)) is None:
        module, _, rest = module.rpartition(".")
        if not module:
            return False
    return module != "chapiteau" and (not rest or rest in known)


def _doubt(node: ast.Constant, what: str) -> Note:
    hint = "look whether chapiteau.cornice is meant from now on"
    return Note(line=node.lineno, what=what, hint=hint, left=True)


def _several(words: str) -> str:
    """New names in a setting, which has several."""
    return _ONE_OF.sub(lambda match: new_name(match[1]), words)


def _replaced(
    node: ast.Constant, lines: list[bytes], change: Callable[[str], str]
) -> Iterator[Edit]:
    """Edits of one constant, which may go over several lines."""
    value = str(node.value)
    last = (node.end_lineno or node.lineno) - 1
    for number in range(node.lineno - 1, last + 1):
        line = lines[number]
        start = node.col_offset if number == node.lineno - 1 else 0
        end = (node.end_col_offset or 0) if number == last else len(line)
        old = line[start:end].decode()
        word = value if value in old else old
        new = old.replace(word, change(word), 1)
        if new != old:
            note = Note(line=number + 1, what=f"{old.strip()} → {new.strip()}")
            yield Edit((number + 1, start), (number + 1, end), new, note)


def _called(tree: ast.AST) -> dict[int, str]:
    """The function for each constant that is an argument, by the constant's id."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            func = node.func
            name = str(getattr(func, "attr", None) or getattr(func, "id", ""))
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                found[id(argument)] = name
    return found


def _included(tree: ast.AST) -> Iterator[ast.Constant]:
    """Values of the setting `pyramid.includes`, in a dict, an assignment or a list there."""
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == _INCLUDES]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key = node.targets[0].slice
            values = [node.value] if getattr(key, "value", None) == _INCLUDES else []
        for value in values:
            yield from (n for n in ast.walk(value) if isinstance(n, ast.Constant))


def _in_lists(tree: ast.AST) -> set[int]:
    return {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple | ast.Set)
        for part in node.elts
    }


def _includes_by_variable(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "include"
        and any(isinstance(argument, ast.Name) for argument in node.args)
        for node in ast.walk(tree)
    )


def _docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
