"""`chapiteau top`: the fleet in a terminal."""

from chapiteau.dash.cli.top.command import command

__all__ = ["command"]
