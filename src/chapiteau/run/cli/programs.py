"""Is what a service runs there: its program, or the module and attribute of its `app`."""

import ast
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from chapiteau.core.problems import did_you_mean
from chapiteau.io.secret_file import SecretRef
from chapiteau.run.config.command import split_command
from chapiteau.run.config.load import Config
from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.process.environment import merge_environment
from chapiteau.run.process.spawn import find_program, read_env_file

__all__ = ["find_app", "find_command", "missing_programs"]


def missing_programs(config: Config) -> Iterator[tuple[str, str]]:
    """What no service could start on this machine: what is missing, and what to do."""
    folder = config.path.parent
    for name, service in config.spec.named():
        # Only PATH matters here; secrets need not be readable by whoever checks a file.
        own: dict[str, str | SecretRef] = {}
        if isinstance(path := service.env.get("PATH"), str):
            own["PATH"] = path
        try:
            files = [read_env_file(name, folder, written) for written in service.env_files]
            env = merge_environment(
                replace(service, env=own), inherited=os.environ, folder=folder, files=files
            )
            find_command(name, service, folder, env.get("PATH", os.defpath))
            find_app(name, service, folder)
        except SpawnError as exc:
            yield f"service.{exc.what}", exc.hint


def find_command(name: str, service: Service, folder: Path, path: str) -> None:
    """Look for the program of `command` in `path`. Raises SpawnError."""
    words = () if service.shell else split_command(service.command)
    if words and "${" not in words[0] and "${" not in service.virtualenv:
        find_program(name, words[0], path, (folder / service.cwd).absolute())


def find_app(name: str, service: Service, folder: Path) -> None:
    """Look for the module and the attribute of `app` without importing it. Raises SpawnError.

    A module that isn't in the working directory may be installed: with a virtualenv of its own,
    that is for the service itself to find out.
    """
    module, _, attribute = service.app.partition(":")
    if not module or "${" in service.app:
        return
    cwd = (folder / service.cwd).absolute()
    source = _source(cwd, module)
    if source is None:
        if service.virtualenv or importlib.util.find_spec(module.partition(".")[0]):
            return
        packages = {entry.parent.name for entry in cwd.glob("*/__init__.py")}
        known = {entry.stem for entry in cwd.glob("*.py")} | packages
        hint = did_you_mean(module, known) or f"it is looked for in {cwd}"
        raise SpawnError(f"{name}: app: there is no module {module!r}", hint=hint)
    names = _names_in(source)
    first = attribute.partition(".")[0]
    if first and names is not None and first not in names:
        hint = did_you_mean(first, (known for known in names if not known.startswith("_")))
        raise SpawnError(f"{name}: app: {source.name} has no {first!r}", hint=hint)


def _source(cwd: Path, module: str) -> Path | None:
    place = cwd.joinpath(*module.split("."))
    found = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((path for path in found if path.is_file()), None)


def _names_in(source: Path) -> set[str] | None:
    """Every name that the file could give its module; None when only running it would tell.

    Names within functions are among them: a wrong attribute may be missed, a right one never is.
    """
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.alias(name="*") | ast.FunctionDef(name="__getattr__"):
                return None
            case ast.Call(func=ast.Name(id="globals" | "setattr" | "exec")):
                return None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=shown):
                names.add(shown or name.partition(".")[0])
            case _:
                pass
    return names
