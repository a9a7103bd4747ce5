"""Descriptors that a unit wants beside its sockets: its input, and those that it leaves behind."""

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import boolean, text

__all__ = ["fd_store_preserve", "standard_input"]


def fd_store_preserve(option: Option, target: Target) -> None:
    """`restart`: so it is; `yes` and `no` are **lost**"""
    word = text(option.value).strip().lower()
    if word == "restart":
        target.kept(option, "descriptors are kept from one process to the next, until a stop")
    else:
        when = "beyond a stop" if boolean(word) else "for no other process"
        target.lost(option, f"kept descriptors {when}", "fd_store keeps them until a stop")


def standard_input(option: Option, target: Target) -> None:
    """`null`: nothing to write; `tty`: `stdin = "tty"`; `socket`: `stdin_socket`; others are
    **lost**
    """
    word = text(option.value).strip()
    if word in ("null", ""):
        target.kept(option, "the input is empty")
    elif word.startswith("tty"):
        target.put(option, "stdin", "tty")
        target.changed(option, "is a terminal of its own: `chapiteau run attach` shows it")
    else:
        target.lost(
            option,
            "was another input",
            'stdin = "pipe" is for `chapiteau run attach`, stdin_socket hands a socket over',
        )
