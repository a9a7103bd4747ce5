"""What an operation says of itself, held against what can be: at start, not at a request."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from chapiteau.service.declare.examples import example_error
from chapiteau.service.declare.pydantic_types import is_pydantic
from chapiteau.service.declare.signature import Callback, Link, OperationOptions
from chapiteau.service.protocol.problem import ProblemError

__all__ = ["Complaint", "default_error", "option_complaints"]

Complaint = tuple[str, str]  # what is wrong, and what to write instead

_LOWEST: Final = 200
_HIGHEST: Final = 599


def option_complaints(
    handler: Callable[..., Any], options: OperationOptions
) -> Iterator[Complaint]:
    """What no operation can mean."""
    plain = inspect.unwrap(handler)
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        # It would be made at each request, and never run.
        yield "is a coroutine function", "write `def` instead of `async def`: a thread runs it"
    status: Any = options.status
    if status is not None and not _is_status(status):
        yield f"has status={status!r}", f"a number from {_LOWEST} to {_HIGHEST}, as status=201"
    raises: tuple[Any, ...] = options.raises
    for kind in raises:
        if not (isinstance(kind, type) and issubclass(kind, ProblemError)):
            name = kind.__name__ if isinstance(kind, type) else repr(kind)
            yield f"has {name} in raises=", "name subclasses of chapiteau.service.ProblemError"
    yield from _of_mapping("links", options.links, Link)
    yield from _of_mapping("callbacks", options.callbacks, Callback)


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and _LOWEST <= value <= _HIGHEST


def _of_mapping(option: str, given: Any, kind: type) -> Iterator[Complaint]:
    example = f'{option}={{"name": {kind.__name__}(…)}}'
    if not isinstance(given, Mapping):
        yield f"has {option}={given!r}", f"give each a name: {example}"
        return
    for name, one in given.items():
        if not (isinstance(name, str) and isinstance(one, kind)):
            yield f"has {one!r} in {option}=", f"write {example}"


def default_error(kind: Any, default: Any) -> str:
    """What a parameter's type has against its default; empty when nothing."""
    if default is msgspec.NODEFAULT or default is msgspec.UNSET or is_pydantic(kind):
        return ""
    try:
        msgspec.convert(default, kind)
    except msgspec.ValidationError:
        return example_error(kind, default)  # an enum's member, a set: as JSON has them
    except TypeError:
        return ""  # a type that can't be read is told elsewhere
    return ""
