"""The front door: find the command, import it, turn errors into three lines and an exit code."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from chapiteau.core.errors import ChapiteauError

__all__ = ["QUICK", "STATUS", "QuickCommand", "parse_quick", "run"]


# The commands that programs call a hundred times an hour, without a library's price.
#
# click costs 45 ms before it knows what was asked (docs/decisions/0050). What is understood here
# completely is done at once; anything else, and every mistake, is click's to answer.


class QuickCommand(NamedTuple):
    """A command: the function `deed` ("module:name") and its parameters besides `names`.

    A tuple: importing dataclasses costs as much as all else here.
    """

    deed: str
    standard: Mapping[str, Any]  # parameter → what it is when not given
    flags: Mapping[str, str]  # option without a value → parameter
    values: Mapping[str, str]  # option with one → parameter
    choices: Mapping[str, Sequence[str]]
    numbers: Sequence[str] = ()  # parameters that are whole numbers


STATUS: Final = "chapiteau.run.cli.show:show_status"
_CONFIG: Final = {"-c": "config", "--config": "config"}
_STATUS: Final = QuickCommand(
    deed=STATUS,
    standard={"config": None, "json_wanted": False, "output": "table"},
    flags={"--json": "json_wanted"},
    values={**_CONFIG, "-o": "output", "--output": "output"},
    choices={"output": ("table", "wide", "brief", "json", "name")},
)
_LOGS: Final = QuickCommand(
    deed="chapiteau.run.cli.show:show_logs",
    standard={
        "config": None, "json_wanted": False, "follow": False, "last": 100, "process": 0,
        "stream": None, "grep": "", "level": "", "since": None, "until": None,
    },
    flags={"--json": "json_wanted", "-f": "follow", "--follow": "follow"},
    values={
        **_CONFIG, "-n": "last", "--last": "last", "--process": "process", "--stream": "stream",
        "--grep": "grep", "--level": "level", "--since": "since", "--until": "until",
    },
    choices={"stream": ("stdout", "stderr")},
    numbers=("last", "process"),
)  # fmt: skip
_DAEMON: Final = QuickCommand(
    deed="chapiteau.run.supervisor.daemon:daemon",
    standard={"config": None},
    flags={},
    values=_CONFIG,
    choices={},
)
QUICK: Final[Mapping[tuple[str, ...], QuickCommand]] = {
    ("status",): _STATUS,
    ("run", "status"): _STATUS,
    ("logs",): _LOGS,
    ("run", "logs"): _LOGS,
    ("run", "daemon"): _DAEMON,
}


def parse_quick(words: Sequence[str], env: Mapping[str, str] = os.environ) -> Any:
    """(deed, its arguments) when these words are a quick command in plain spelling, else None."""
    if "_CHAPITEAU_COMPLETE" in env:
        return None
    for length in (1, 2):
        if (quick := QUICK.get(tuple(words[:length]))) is not None:
            given = _read(quick, list(words[length:]))
            if given is None:
                return None
            given["config"] = given["config"] or env.get("CHAPITEAU_CONFIG") or None
            return quick.deed, given
    return None


def _read(quick: QuickCommand, words: list[str]) -> dict[str, Any] | None:
    given: dict[str, Any] = dict(quick.standard)
    names: list[str] = []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word in quick.flags:
            given[quick.flags[word]] = True
        elif option in quick.values and (equals or words):
            name = quick.values[option]
            said = value if equals else words.pop(0)
            if said not in quick.choices.get(name, (said,)):
                return None
            if name in quick.numbers and not (said.isascii() and said.isdigit()):
                return None
            given[name] = int(said) if name in quick.numbers else said
        elif word.startswith("-") or not word:
            return None
        else:
            names.append(word)
    return {**given, "names": tuple(names)}


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
