"""The root of every error that a person can meet, with its exit code."""

__all__ = [
    "ChapiteauError",
    "GateFailedError",
    "NotFoundError",
    "PartialError",
    "RefusedError",
    "TimedOutError",
    "UnreachableError",
    "UsageError",
]


class ChapiteauError(Exception):
    """Root of every error that a user of Chapiteau can meet.

    `what` says what happened and where, `hint` what to do next; `exit_code` is what the command
    line answers with. docs/reference/exit-codes.md lists them.
    """

    exit_code: int = 1  # of the class, unless one error has another

    def __init__(self, what: str, *, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(ChapiteauError):
    """The command line or a configuration file says something that can't be."""

    exit_code = 2


class NotFoundError(ChapiteauError):
    """The named thing does not exist."""

    exit_code = 3


class RefusedError(ChapiteauError):
    """The caller may not do this, or it must not be done now."""

    exit_code = 4


class UnreachableError(ChapiteauError):
    """Nobody answers at the other end."""

    exit_code = 5


class TimedOutError(ChapiteauError):
    """The answer did not come within the time allowed."""

    exit_code = 6


class PartialError(ChapiteauError):
    """Some of the things asked for were done, and some were not."""

    exit_code = 7


class GateFailedError(ChapiteauError):
    """Judged, and not good: an objective, a check or a comparison."""

    exit_code = 8
