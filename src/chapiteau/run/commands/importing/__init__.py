"""`chapiteau import FILE`: move in from another supervisor."""

from chapiteau.run.commands.importing.command import command

__all__ = ["command"]
