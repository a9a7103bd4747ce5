"""`chapiteau top`: the fleet in a terminal."""

from chapiteau.dash.commands.top.command import command

__all__ = ["command"]
