"""Rewrite a Python file's imports from Cornice; say what a person must look at. Pure."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from chapiteau.migrate.cornice.quoted import (
    ROOTS,
    Edit,
    Names,
    Note,
    Rewritten,
    applied,
    new_name,
    quoted,
)

__all__ = ["Note", "Rewritten", "new_name", "requirements", "rewrite", "rewrite_ini"]

_FROM: Final = re.compile(r"from\s+([\w.]+)")


def rewrite(text: str, names: Names) -> Rewritten:
    """The file with new imports. Raises SyntaxError when it is not Python 3.

    `names` tells the public names of a module of ours, or None when there is no such module.
    """
    tree = ast.parse(text)
    lines = text.encode().splitlines(keepends=True)
    edits: list[Edit] = []
    notes: list[Note] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            edits += _import_from(node, lines)
            notes += _absent(node, lines, names)
        elif isinstance(node, ast.Import):
            edits += _import(node, lines)
            notes += _absent_modules(node, names)
    words, doubts = quoted(tree, lines, names)
    edits += words
    notes += doubts
    new = applied(lines, edits).decode()
    return Rewritten(text=new, notes=tuple(sorted([*notes, *(edit.note for edit in edits)])))


# ── what changes ────────────────────────────────────────────────────────────────────────────
def _import_from(node: ast.ImportFrom, lines: list[bytes]) -> Iterator[Edit]:
    module = node.module or ""
    if node.level or module.partition(".")[0] not in ROOTS:
        return
    line = lines[node.lineno - 1][node.col_offset :].decode()
    match = _FROM.match(line)
    if match is None or match[1] != module:  # a line break or a space inside the name
        return  # `_absent` says so
    start = node.col_offset + len(line[: match.start(1)].encode())
    new = new_name(module)
    note = Note(line=node.lineno, what=f"from {module} → from {new}")
    yield Edit((node.lineno, start), (node.lineno, start + len(module)), new, note)


def _import(node: ast.Import, lines: list[bytes]) -> Iterator[Edit]:
    if not any(alias.name.partition(".")[0] in ROOTS for alias in node.names):
        return
    kept = [alias for alias in node.names if alias.name.partition(".")[0] not in ROOTS]
    words = [f"import {', '.join(_shown(alias) for alias in kept)}"] if kept else []
    words += dict.fromkeys(
        _binding(alias) for alias in node.names if alias.name.partition(".")[0] in ROOTS
    )
    head = lines[node.lineno - 1][: node.col_offset].decode()
    # After other statements on the same line only a semicolon keeps the meaning.
    between = "; " if head.strip() else f"\n{head}"
    old = f"import {', '.join(_shown(alias) for alias in node.names)}"
    note = Note(line=node.lineno, what=f"{old} → {'; '.join(words)}")
    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    yield Edit((node.lineno, node.col_offset), end, between.join(words), note)


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


# ── what is left ────────────────────────────────────────────────────────────────────────────
def _absent(node: ast.ImportFrom, lines: list[bytes], names: Names) -> Iterator[Note]:
    module = node.module or ""
    moved = f"{module}.".startswith("chapiteau.cornice.")  # in an earlier run
    if node.level or not (moved or module.partition(".")[0] in ROOTS):
        return
    if not moved and not next(_import_from(node, lines), None):
        yield Note(
            line=node.lineno,
            what=f"from {module} import … is spread over lines in an uncommon way",
            hint="write the name of the module beside `from`, and run this again",
            left=True,
        )
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
                what=f"{module.removeprefix('chapiteau.')} has {alias.name}, "
                f"{new_name(module)} has not",
                hint="it is no documented name of Cornice: look for another way",
                left=True,
            )


def _absent_modules(node: ast.Import, names: Names) -> Iterator[Note]:
    for alias in node.names:
        if alias.name.partition(".")[0] in ROOTS and names(new_name(alias.name)) is None:
            yield _no_module(node.lineno, alias.name)


def _no_module(line: int, module: str) -> Note:
    hint = "look for another way"
    return Note(line=line, what=f"{new_name(module)} does not exist", hint=hint, left=True)


# Rewrite `pyramid.includes` in an INI file; find Cornice among a project's requirements. Pure.

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
