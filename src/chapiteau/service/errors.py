"""What can go wrong while a web service is declared or served."""

from chapiteau.core.errors import ChapiteauError, NotFoundError, UsageError

__all__ = ["AppError", "AppNotFoundError", "DeclarationError", "ServeError", "WrongAnswerError"]


class DeclarationError(UsageError):
    """A service or handler says something that can't be; names the function and its parameter."""


class AppNotFoundError(NotFoundError):
    """`module:factory` names no module or no attribute of it."""


class AppError(ChapiteauError):
    """The application could not be built: its own code raised."""


class ServeError(ChapiteauError):
    """The worker can't listen or can't go on."""


class WrongAnswerError(ChapiteauError):
    """A handler returned something else than it declares; told only where answers are checked."""
