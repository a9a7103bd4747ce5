"""The command line of `chapiteau import cornice`."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.core.exit_codes import PARTIAL, exit_codes_of
from chapiteau.core.text import escape_control
from chapiteau.io.console import print_json, use_colour
from chapiteau.io.files import write_atomic
from chapiteau.migrate.cornice.rewriting import Note, Rewritten, requirements, rewrite, rewrite_ini

__all__ = ["Moved", "cornice_command", "move", "names_of", "tell", "to_json"]


@click.command(name="cornice", epilog=exit_codes_of("import cornice"))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the changes, write nothing.")
@click.option("--diff", "as_diff", is_flag=True, help="Show the changes as a diff too.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def cornice_command(ctx: click.Context, /, paths: tuple[Path, ...], **given: Any) -> None:
    """Change an application's imports from Cornice to chapiteau.cornice.

    Rewrites imports, `config.include("cornice")` and `pyramid.includes` in the .py and .ini files
    of a folder; tells on standard error what changed, and what is left for you, such as the
    project's requirements.

    \b
    chapiteau import cornice --dry-run src   look at the diff first
    chapiteau import cornice src             write it
    """

    moved = move(paths, write=not given["dry_run"])
    if given["as_json"]:
        to_json(moved)
    else:
        tell(moved, diff=given["as_diff"] or given["dry_run"], written=not given["dry_run"])
    if any(note.left for one in moved for note in one.notes):
        ctx.exit(PARTIAL)


# The files of an application: found, rewritten, written back.

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


# What was changed and what is left, for people and for programs.


def tell(moved: Sequence[Moved], *, diff: bool, written: bool) -> None:
    """The diff on standard output, the report on standard error."""
    if diff:
        for one in moved:
            click.echo(_diff(one), nl=False)
    coloured = use_colour(sys.stderr)
    left = [(one, note) for one in moved for note in one.notes if note.left]
    changed = sum(1 for one in moved for note in one.notes if not note.left)
    files = sum(1 for one in moved if one.after != one.before)
    if not diff:
        for one in moved:
            for note in one.notes:
                if not note.left:
                    click.echo(escape_control(f"  {one.path}:{note.line}  {note.what}"), err=True)
    if left:
        click.secho("left for you:", fg="yellow", bold=True, err=True, color=coloured)
    for one, note in left:
        click.echo(escape_control(f"  {one.path}:{note.line}  {note.what}"), err=True)
        if note.hint:
            click.echo(escape_control(f"      → {note.hint}"), err=True)
    verb = "changed" if written else "to change"
    summary = f"{changed} lines in {files} files {verb}, {len(left)} left for you"
    click.secho(summary, bold=True, err=True, color=coloured)


def _diff(one: Moved) -> str:
    lines = difflib.unified_diff(
        one.before.splitlines(keepends=True),
        one.after.splitlines(keepends=True),
        f"a/{one.path}",
        f"b/{one.path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def to_json(moved: Sequence[Moved]) -> None:
    """The report as JSON on standard output."""
    print_json(
        {
            "files": [
                {
                    "path": str(one.path),
                    "changed": one.after != one.before,
                    "notes": [
                        {"line": n.line, "what": n.what, "hint": n.hint, "left": n.left}
                        for n in one.notes
                    ],
                }
                for one in moved
            ]
        }
    )
