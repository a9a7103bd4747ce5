"""Which twin of the hot part runs: the compiled one where it was built, else plain Python.

`CHAPITEAU_LOAD_ENGINE=plain` or `compiled` in the environment decides otherwise.
"""

import functools
import importlib
import os
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.hot.exchange import Exchange
from chapiteau.load.engine.hot.lane import Lane
from chapiteau.load.engine.hot.memo import Memo
from chapiteau.load.engine.hot.prepared import Prepared
from chapiteau.load.engine.hot.reactor import Lay, Reactor
from chapiteau.load.engine.hot.response import Response, Views
from chapiteau.load.engine.hot.wakeup import Wakeup
from chapiteau.load.engine.hot.walk import Walk
from chapiteau.load.engine.hot.wire import Wire

__all__ = ["PLAIN", "VARIABLE", "Kit", "chosen", "compiled", "kit_of"]

VARIABLE: Final = "CHAPITEAU_LOAD_ENGINE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The hot part's classes. Their types are the plain twin's; the compiled ones act alike."""

    name: str
    wakeup: type[Wakeup] = Wakeup
    walk: type[Walk] = Walk
    exchange: type[Exchange] = Exchange
    reactor: type[Reactor] = Reactor
    lay: type[Lay] = Lay
    wire: type[Wire] = Wire
    memo: type[Memo] = Memo
    lane: type[Lane] = Lane
    prepared: type[Prepared] = Prepared
    response: type[Response] = Response


PLAIN: Final = Kit(name="plain")


def compiled() -> Kit | None:
    """The compiled twin; None where it was not built."""
    try:
        swift = importlib.import_module("chapiteau.load.engine.hot._swift")
    except ImportError:
        return None
    return Kit(
        name="compiled",
        wakeup=swift.Wakeup,
        walk=swift.Walk,
        exchange=swift.Exchange,
        reactor=swift.Reactor,
        lay=swift.Lay,
        wire=swift.Wire,
        memo=swift.Memo,
        lane=swift.Lane,
        prepared=swift.Prepared,
        response=_answering(swift),
    )


@functools.cache
def _answering(swift: Any) -> type[Response]:
    """The compiled twin's Response: fields from there, methods from here."""
    made: Any = type("Response", (swift.Answer, Views), {"__slots__": (), "__module__": __name__})
    swift.answer_with(made)
    return made  # type: ignore[no-any-return]


def kit_of(reactor: Any) -> Kit:
    """The twin that a reactor belongs to: all parts must be of one."""
    return PLAIN if isinstance(reactor, Reactor) else compiled() or PLAIN


def chosen(wanted: str | None = None) -> Kit:
    """The twin to use. Raises UsageError when one is wanted that isn't there."""
    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    if wanted not in {"", "plain", "compiled"}:
        raise UsageError(f"{VARIABLE}={wanted}: there are only plain and compiled")
    if wanted == "plain":
        return PLAIN
    found = compiled()
    if found is None and wanted == "compiled":
        raise UsageError(
            "the compiled load engine was not built here",
            hint="install a C compiler and Python's headers, then install chapiteau again",
        )
    return found or PLAIN
