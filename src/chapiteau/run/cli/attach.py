"""`run attach`: be at a process's terminal, or at its standard input and output."""

import contextlib
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from typing import Final

import click

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.api.client import Client
from chapiteau.run.cli.options import config_option, message, service_names
from chapiteau.run.logs.messages import Outcome

__all__ = ["attach"]

_LEAVE: Final = b"\x1d"  # Ctrl-], as telnet has it
_NO_INPUT: Final = 4  # exit code: it has no standard input


@click.command("attach")
@click.argument("name", metavar="SERVICE", shell_complete=service_names)
@click.option("--process", type=click.IntRange(1), default=1, help="Which process; default 1.")
@click.option("--eof", is_flag=True, help="(input from a pipe) Then close its standard input.")
@config_option
def attach(name: str, process: int, eof: bool, config: str | None) -> None:
    """Attach to a process's terminal: see its output, type its input. Ctrl-] detaches, and
    the process goes on.

    For that it needs `stdin = "tty"` (a terminal: shells, debuggers, editors work as ever) or
    `"pipe"`; without, you only see. Input from a pipe is sent, then you leave.

    \b
    chapiteau run attach console
    echo reload | chapiteau run attach game
    """
    client = Client.find(config)
    if not sys.stdin.isatty():
        outcome = client.enter(name, sys.stdin.read(), process=process, eof=eof)
        if not outcome.ok:
            raise outcome.to_error()
        return
    screen = client.screen(name, process)
    next(screen)  # from now on nothing is missed
    typing = _take_size(client, name, process)
    message(f"attached to {name}.{process}" + ("" if typing else ", which has no standard input")
        + "; Ctrl-] leaves")  # fmt: skip
    with _raw(typing):
        threading.Thread(target=_show, args=(screen,), daemon=True).start()
        _type(client, name, process, typing=typing)
    message("\nleft; it goes on")


def _take_size(client: Client, name: str, process: int) -> bool:
    """Let its terminal be as big as ours, now and whenever ours changes; whether it has input."""

    def tell(*_: object) -> Outcome:
        size = os.get_terminal_size()
        if min(size) <= 0:
            return client.enter(name, process=process)
        return client.enter(name, process=process, rows=size.lines, columns=size.columns)

    outcome = tell()
    if not outcome.ok and outcome.exit_code != _NO_INPUT:
        raise outcome.to_error()
    if outcome.ok:
        signal.signal(signal.SIGWINCH, tell)
    return outcome.ok


def _show(screen: Iterator[bytes]) -> None:
    """Everything it prints; when it has ended, so have we."""
    with contextlib.suppress(ChapiteauError):
        for piece in screen:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    os.kill(os.getpid(), signal.SIGINT)  # wakes the one that waits for keys


def _type(client: Client, name: str, process: int, *, typing: bool) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while keys := os.read(sys.stdin.fileno(), 4096):
            before, leave, _ = keys.partition(_LEAVE)
            if before and typing:
                client.enter(name, before.decode("utf-8", "replace"), process=process)
            if leave:
                return


@contextlib.contextmanager
def _raw(typing: bool) -> Iterator[None]:
    """Keys come as they are pressed, Ctrl-C too: it is meant for the process."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        if typing:
            tty.setraw(fd, termios.TCSADRAIN)  # what was typed ahead is not thrown away
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
