"""The front door: find the command, import it, turn errors into three lines and an exit code."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from chapiteau.cli.quick import STATUS, parse_quick
from chapiteau.core.errors import ChapiteauError

__all__ = ["run"]


def run() -> NoReturn:
    """Entry point: exit codes as in docs/reference/exit-codes.md."""
    try:
        asked = parse_quick(sys.argv[1:])
        code: Any = _whole() if asked is None else _quickly(*asked)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except ChapiteauError as exc:
        _complain(exc)
        code = exc.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): leave quietly, and keep the
        # interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    gc.freeze()  # the interpreter need not search its last rubbish for cycles: 3 ms
    sys.exit(code if isinstance(code, int) else 0)


def _quickly(deed: str, given: dict[str, Any]) -> Any:
    if deed == STATUS:  # it ends before a collection could free anything; the other one lives
        gc.disable()
    return _function(deed)(**given)


def _function(target: str) -> Callable[..., Any]:
    import importlib

    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _whole() -> Any:
    """Everything that click understands, and its help."""
    import click

    from chapiteau.cli.groups import main

    try:
        return main(standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return 128 + signal.SIGINT


def _complain(error: ChapiteauError) -> None:
    from chapiteau.io.console import styled, use_colour

    text = f"error: {error.what}"
    print(styled(text, "red") if use_colour(sys.stderr) else text, file=sys.stderr)
    if error.hint:
        print(f"  → {error.hint}", file=sys.stderr)
    sys.stderr.flush()
