"""What can go wrong while putting load on a service."""

from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError
from chapiteau.core.exit_codes import BROKEN, GENERATOR_LIMITED

__all__ = [
    "BadResponseError",
    "DataUsedUpError",
    "ExchangeError",
    "HostLostError",
    "NoSuchResultError",
    "ScenarioError",
    "TargetNotAllowedError",
    "WorkerLostError",
]


class ExchangeError(ChapiteauError):
    """A request got no (whole) answer. `kind` is what the report counts it under.

    `own` is true when the generator, not the service, ran out of something: such an error never
    counts against the service.
    """

    def __init__(self, kind: str, what: str, *, own: bool = False, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.kind = kind
        self.own = own


class BadResponseError(ExchangeError):
    """The bytes that came are no HTTP answer."""

    def __init__(self, what: str) -> None:
        super().__init__("bad answer", what)


class ScenarioError(ChapiteauError):
    """The scenario itself is broken: nothing can be said about the service."""

    exit_code = BROKEN


class DataUsedUpError(ChapiteauError):
    """A file of data that is used once has no row left: the load ends, and nothing is wrong."""


class TargetNotAllowedError(RefusedError):
    """The target lies outside loopback and nobody has allowed it."""


class NoSuchResultError(NotFoundError):
    """No stored result has this number."""


class WorkerLostError(ChapiteauError):
    """A load process ended before its work was done."""


class HostLostError(ChapiteauError):
    """A machine that put load on is gone: what was measured is not the test that was meant."""

    exit_code = GENERATOR_LIMITED
