"""`chapiteau new NAME`: a service with database, tests, load scenario and chapiteau.toml."""

import keyword
import re
import shlex
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from chapiteau.core.errors import RefusedError, UsageError

__all__ = ["new"]


@click.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where; default: NAME.")
def new(name: str, folder: Path | None) -> None:
    """Create a project: a REST service with database, tests, load scenario, chapiteau.toml."""
    target = folder or Path(name)
    name = Path(name).name  # a path says where, its last part is the name
    package = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UsageError(f"{name!r} can't be a project's name", hint="try letters, as in: shop")
    if package in sys.stdlib_module_names or package == "chapiteau":
        hint = f"try another, as in: {name}-service"
        raise UsageError(f"{name!r} would hide the module {package!r}", hint=hint)
    template = files("chapiteau.service.cli") / "template"
    made = _filled(template, Path(), {"@name@": name, "@package@": package})
    there = [target] if target.exists() and not target.is_dir() else []
    if there := [*there, *(target / path for path, _ in made if (target / path).exists())]:
        raise RefusedError(
            f"{there[0]} is there already", hint="choose another name or --folder; nothing was made"
        )
    for path, text in made:
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    enter = "" if target == Path() else f"  cd {shlex.quote(str(target))}\n"
    click.echo(f"{name} is ready:\n\n{enter}  chapiteau up")


def _filled(folder: Traversable, at: Path, words: dict[str, str]) -> list[tuple[Path, str]]:
    """Every file of the template with its place; names lose what keeps them from being code."""
    found: list[tuple[Path, str]] = []
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.name.startswith((".", "__pycache__")):  # left there by tools, not ours
            continue
        name = item.name.removesuffix(".txt")
        name = {"package": words["@package@"], "gitignore": ".gitignore"}.get(name, name)
        if item.is_dir():
            found += _filled(item, at / name, words)
            continue
        text = item.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        found.append((at / name, text))
    return found
