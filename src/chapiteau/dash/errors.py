"""What can go wrong between a person, the hub and its nodes."""

from chapiteau.core.errors import (
    ChapiteauError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    UsageError,
)

__all__ = [
    "BadRequestError",
    "HubGoneError",
    "LoginError",
    "NodeAwayError",
    "NotAllowedError",
    "PortTakenError",
    "UnknownNodeError",
]


class BadRequestError(UsageError):
    """The request says something that can't be."""


class LoginError(RefusedError):
    """No session, or a token or password that does not fit."""


class NotAllowedError(RefusedError):
    """This role may not do this."""


class UnknownNodeError(NotFoundError):
    """No node of this name has ever been here."""


class NodeAwayError(UnreachableError):
    """The node does not answer now; what is shown of it is old."""


class HubGoneError(UnreachableError):
    """No dashboard runs for this project."""


class PortTakenError(ChapiteauError):
    """Something else listens on the dashboard's port."""
