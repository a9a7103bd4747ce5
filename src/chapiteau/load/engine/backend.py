"""Which engine runs: the compiled one where it was built, else the one in plain Python.

`CHAPITEAU_LOAD_ENGINE=plain` or `compiled` in the environment decides otherwise.
"""

import functools
import importlib
import os
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import Problem
from chapiteau.io.compiled import LOAD_ENGINE, build_state
from chapiteau.load.engine.completion import Completion, CoroutineDriver
from chapiteau.load.engine.exchange import Exchange, ResponseShape
from chapiteau.load.engine.reactor import Reactor, ReceiveDelay
from chapiteau.load.engine.request_path import PreparedRequest, RequestPath
from chapiteau.load.engine.response import Response, ResponseViews
from chapiteau.load.engine.wire import Wire

__all__ = [
    "ENGINE_VARIABLE",
    "PLAIN",
    "EngineBackend",
    "backend_of",
    "choose_backend",
    "compiled_backend",
    "engine_problems",
]

ENGINE_VARIABLE: Final = "CHAPITEAU_LOAD_ENGINE"
_STALE: Final = "the compiled load engine was built from another version of its source"
_REBUILD: Final = "install chapiteau again to rebuild it"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBackend:
    """The hot part's classes. Their types are the plain twin's; the compiled ones act alike."""

    name: str
    completion: type[Completion] = Completion
    driver: type[CoroutineDriver] = CoroutineDriver
    exchange: type[Exchange] = Exchange
    reactor: type[Reactor] = Reactor
    receive_delay: type[ReceiveDelay] = ReceiveDelay
    wire: type[Wire] = Wire
    response_shape: type[ResponseShape] = ResponseShape
    request_path: type[RequestPath] = RequestPath
    prepared: type[PreparedRequest] = PreparedRequest
    response: type[Response] = Response


PLAIN: Final = EngineBackend(name="plain")


@functools.cache
def compiled_backend() -> EngineBackend | None:
    """The compiled twin; None where it was not built, or from another version of its source."""
    if build_state(LOAD_ENGINE) != "current":
        return None
    try:
        fastpath = importlib.import_module(LOAD_ENGINE)
    except ImportError:
        return None
    return EngineBackend(
        name="compiled",
        completion=fastpath.Completion,
        driver=fastpath.CoroutineDriver,
        exchange=fastpath.Exchange,
        reactor=fastpath.Reactor,
        receive_delay=fastpath.ReceiveDelay,
        wire=fastpath.Wire,
        response_shape=fastpath.ResponseShape,
        request_path=fastpath.RequestPath,
        prepared=fastpath.PreparedRequest,
        response=_answering(fastpath),
    )


def engine_problems() -> tuple[Problem, ...]:
    """What there is to tell of the engine in use: a compiled one that was left aside as stale."""
    if os.environ.get(ENGINE_VARIABLE) == "plain" or build_state(LOAD_ENGINE) != "stale":
        return ()
    return (Problem("engine", f"{_STALE}: load tests run on plain Python", _REBUILD),)


@functools.cache
def _answering(fastpath: Any) -> type[Response]:
    """The compiled twin's Response: fields from there, methods from here."""
    made: Any = type(
        "Response", (fastpath.Answer, ResponseViews), {"__slots__": (), "__module__": __name__}
    )
    fastpath.answer_with(made)
    return made  # type: ignore[no-any-return]


def backend_of(reactor: Any) -> EngineBackend:
    """The twin that a reactor belongs to: all parts must be of one."""
    return PLAIN if isinstance(reactor, Reactor) else compiled_backend() or PLAIN


def choose_backend(wanted: str | None = None) -> EngineBackend:
    """The twin to use. Raises UsageError when one is wanted that isn't there."""
    wanted = os.environ.get(ENGINE_VARIABLE, "") if wanted is None else wanted
    if wanted not in {"", "plain", "compiled"}:
        raise UsageError(f"{ENGINE_VARIABLE}={wanted}: there are only plain and compiled")
    if wanted == "plain":
        return PLAIN
    found = compiled_backend()
    if found is None and wanted == "compiled":
        if build_state(LOAD_ENGINE) == "stale":
            raise UsageError(_STALE, hint=_REBUILD)
        raise UsageError(
            "the compiled load engine was not built here",
            hint="install a C compiler and Python's headers, then install chapiteau again",
        )
    return found or PLAIN
