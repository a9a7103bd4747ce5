"""The files of an application: found, rewritten, written back."""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.cornice.moving.rewriting import Note, Rewritten, rewrite
from chapiteau.cornice.moving.settings import requirements, rewrite_ini
from chapiteau.plumbing.files import write_atomic

__all__ = ["Moved", "move", "names_of"]

_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist"})
_REQUIRING: Final = ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "tox.ini")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One file with something to say about it."""

    path: Path
    before: str
    after: str
    notes: tuple[Note, ...]


def move(paths: Iterable[Path], *, write: bool) -> list[Moved]:
    """Rewrite all files below these paths. Raises NotFoundError, RefusedError."""
    moved = [made for path in sorted(set(_files(paths))) if (made := _moved(path)) is not None]
    if write:
        for one in moved:
            if one.after != one.before:
                _write(one)
    return moved


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        elif path.exists():
            yield path
        else:
            raise NotFoundError(f"{path}: no such file or folder", hint="check the name")


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            # Somebody's virtual environment is not the application.
            if not (path / "pyvenv.cfg").exists():
                yield from _below(path)
        elif path.suffix in (".py", ".pyi") or _is_ini(path) or _requires(path):
            yield path


def _is_ini(path: Path) -> bool:
    """Settings of PasteDeploy, their templates too: `production.ini.in`."""
    return path.suffix in (".cfg", ".conf") or ".ini" in path.suffixes


def _requires(path: Path) -> bool:
    name = path.name
    return name in _REQUIRING or (
        name.startswith("requirements") and path.suffix in (".txt", ".in")
    )


def _moved(path: Path) -> Moved | None:
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise RefusedError(f"{path}: can't be read: {exc.strerror}") from None
    if b"cornice" not in raw.lower():
        return None
    try:
        before = raw.decode()
    except UnicodeDecodeError:
        note = Note(line=1, what="is not UTF-8", hint="move it by hand", left=True)
        return Moved(path=path, before="", after="", notes=(note,))
    made = _rewritten(path, before)
    notes = made.notes + (requirements(before) if _requires(path) else ())
    if not notes:
        return None
    return Moved(path=path, before=before, after=made.text, notes=tuple(sorted(notes)))


def _rewritten(path: Path, text: str) -> Rewritten:
    if _is_ini(path):
        return rewrite_ini(text)
    if path.suffix not in (".py", ".pyi"):
        return Rewritten(text=text)
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    try:
        made = rewrite(text, names_of)
        return Rewritten(text=mark + made.text, notes=made.notes)
    except SyntaxError as exc:
        what = f"is not Python 3: {exc.msg}"
        note = Note(line=exc.lineno or 1, what=what, hint="move it by hand", left=True)
        return Rewritten(text=text, notes=(note,))


def _write(one: Moved) -> None:
    try:
        write_atomic(one.path, one.after.encode(), mode=one.path.stat().st_mode & 0o777)
    except OSError as exc:
        raise RefusedError(f"{one.path}: can't be written: {exc.strerror}") from None


def names_of(module: str) -> frozenset[str] | None:
    """The names of a module of ours, or None when there is no such module."""
    try:
        if importlib.util.find_spec(module) is None:
            return None
    except ModuleNotFoundError:
        return None
    found: Sequence[str] = dir(importlib.import_module(module))
    return frozenset(found)
