"""A scenario file as a module."""

import contextlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from chapiteau.load.errors import ScenarioError

__all__ = ["import_scenario"]


def import_scenario(path: Path) -> ModuleType:
    """The scenario file, imported. Raises ScenarioError with the line at fault."""
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"chapiteau_scenario_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{path}: not a Python file", hint="scenario files end in .py")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        # What a file prints while it is imported must not get among a command's own data.
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(made)
    except Exception as exc:
        line = _line_in(exc, path)
        what = f"{path}{line}: can't be imported: {type(exc).__name__}: {exc}"
        raise ScenarioError(what, hint=_hint(exc)) from exc
    return made


def _line_in(exc: BaseException, path: Path) -> str:
    if isinstance(exc, SyntaxError):
        return f":{exc.lineno}"
    lines = []
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


def _hint(exc: BaseException) -> str:
    if isinstance(exc, ModuleNotFoundError):
        return f"install {exc.name}, which the file needs"
    old = ("Missing parentheses", "multiple exception types", "leading zeros in decimal")
    if isinstance(exc, SyntaxError) and any(words in str(exc) for words in old):
        return "it is for Python 2: convert it first, for example with lib2to3"
    return ""
