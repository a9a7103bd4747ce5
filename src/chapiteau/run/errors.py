"""What can go wrong while keeping processes alive."""

from chapiteau.core.errors import ChapiteauError, RefusedError, UnreachableError

__all__ = [
    "AlreadyRunningError",
    "ImpossibleEventError",
    "KeeperGoneError",
    "NotRunningError",
    "SpawnError",
]


class AlreadyRunningError(RefusedError):
    """Another supervisor holds this project's run directory."""


class NotRunningError(UnreachableError):
    """No supervisor answers for this project."""


class KeeperGoneError(ChapiteauError):
    """The keeper's end of the channel is closed."""


class SpawnError(ChapiteauError):
    """A process could not be started; says at which stage and why."""


class ImpossibleEventError(Exception):
    """A defect: this event can't come in this state. Never caught quietly."""
