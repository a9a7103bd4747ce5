"""`module:factory` → a WSGI application."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import did_you_mean
from chapiteau.service.errors import AppError, AppNotFoundError

__all__ = ["load_app"]


def load_app(target: str, *, folder: Path | None = None) -> Any:
    """Import and build the application; `folder` (default: the working one) may hold the module.

    A function without parameters is called; one for PasteDeploy gets an empty configuration;
    anything else callable is taken as the application itself. Raises AppNotFoundError, AppError.
    """
    place = str(folder or Path.cwd())
    if place not in sys.path:
        sys.path.insert(0, place)
    module_name, colon, name = target.partition(":")
    if not colon or not module_name or not name:
        raise AppNotFoundError(
            f"{target!r} names no application", hint="write module:factory, say shop.app:make"
        )
    module = _own_code(target, lambda: _module(module_name, target))
    found: Any = module
    for part in name.removesuffix("()").split("."):
        if not hasattr(found, part):
            known = [k for k, v in vars(found).items() if callable(v) and not k.startswith("_")]
            raise AppNotFoundError(
                f"{target}: {module_name} has no {part!r}", hint=did_you_mean(part, known)
            )
        found = getattr(found, part)
    return _own_code(target, lambda: _built(found, target))


def _own_code(target: str, run: Callable[[], Any]) -> Any:
    """Run code of the application; what goes wrong in it says where. Raises ChapiteauError."""
    try:
        return run()
    except ChapiteauError:
        raise
    except Exception as exc:
        # Pyramid wraps what went wrong while a declaration was carried out.
        inner = getattr(exc, "evalue", None)
        if isinstance(inner, ChapiteauError):
            raise inner from exc
        raise AppError(
            f"{target} could not be built: {type(exc).__name__}: {exc}", hint=_place(exc)
        ) from exc


def _place(error: Exception) -> str:
    """Where it happened: the last line of the application's own code, not of a library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and __file__ != f.filename]
    seen = [f for f in own if not f.filename.startswith("<frozen")]
    return f"{seen[-1].filename}:{seen[-1].lineno}: {seen[-1].line}" if seen else ""


def _module(name: str, target: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name and (name == exc.name or name.startswith(exc.name + ".")):
            raise AppNotFoundError(
                f"{target}: no module {exc.name!r} here or on the Python path",
                hint=f"looked in: {Path.cwd()} and {len(sys.path)} other places",
            ) from exc
        raise AppError(
            f"{target}: importing it needs {exc.name!r}, which is not installed",
            hint=f"try: pip install {(exc.name or '').partition('.')[0]}",
        ) from exc


def _built(found: Any, target: str) -> Any:
    if not callable(found):
        raise AppError(f"{target} is {type(found).__name__}, which can't be called")
    if not inspect.isroutine(found) and not inspect.isclass(found):
        return found  # an instance with __call__: Pyramid's Router, Flask, …
    factory: Any = found
    needed = [
        p
        for p in inspect.signature(found).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if not needed:
        app = factory()
    elif len(needed) == 1:
        app = factory({})
    elif len(needed) == 2:
        return found
    else:
        raise AppError(
            f"{target} needs {len(needed)} arguments", hint="give them defaults: it is called bare"
        )
    if not callable(app):
        raise AppError(f"{target} returned {type(app).__name__}, not a WSGI application")
    return app
