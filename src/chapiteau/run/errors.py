"""What can go wrong while keeping processes alive."""

from chapiteau.core.errors import ChapiteauError, RefusedError, UnreachableError

__all__ = [
    "AlreadyRunningError",
    "BrainLostError",
    "ImpossibleEventError",
    "KeeperGoneError",
    "NotRunningError",
    "SpawnError",
    "TooLargeError",
]


class AlreadyRunningError(RefusedError):
    """Another supervisor holds this project's run directory."""


class NotRunningError(UnreachableError):
    """No supervisor answers for this project."""


class BrainLostError(NotRunningError):
    """The supervisor's brain died before it answered; another one goes on."""


class KeeperGoneError(ChapiteauError):
    """The keeper's end of the channel is closed."""


class TooLargeError(ChapiteauError):
    """More than one message to the keeper can hold."""


class SpawnError(ChapiteauError):
    """A process could not be started; says at which stage and why.

    `shell_code` is what a shell would have ended with: 127 when there is no such program, 126
    when it can't be executed, else None.
    """

    def __init__(self, what: str, *, hint: str = "", shell_code: int | None = None) -> None:
        super().__init__(what, hint=hint)
        self.shell_code = shell_code


class ImpossibleEventError(Exception):
    """A defect: this event can't come in this state. Never caught quietly."""
