"""ExecStartPost=, ExecStop= and ExecStopPost= → hooks of the service."""

from collections.abc import Mapping, Sequence

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.systemd.words import command_line, read_exec

__all__ = ["take_hook"]


def take_hook(
    target: Target, point: str, options: Sequence[Option], env: Mapping[str, str]
) -> None:
    """The commands of one point of a unit's life, one after the other."""
    lines = []
    for option in options:
        try:
            lines.append(_line(option, env))
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", f"set hooks.{point} by hand")
            continue
        target.changed(option, f"became hooks.{point}: it has 90 s, and {_MEANS[point]}")
    if lines:
        run = ["sh", "-c", " && ".join(lines)]
        target.set(f"hooks.{point}", {"run": run, "timeout": "90s"}, options[0])


_MEANS = {
    "after_start": "runs when all processes are ready",
    "before_stop": "the processes get the stop signal afterwards",
    "after_reap": "runs after the end of each process",
}


def _line(option: Option, env: Mapping[str, str]) -> str:
    command = read_exec(str(option.value))
    if any("MAINPID" in word for word in command.words):
        raise ValueError("a hook knows no $MAINPID")
    if command.privileged:
        raise ValueError("a hook runs as the service's user")
    line = command_line(command, env)[0].removeprefix("exec ")
    return f"{{ {line} || true; }}" if command.may_fail else line
