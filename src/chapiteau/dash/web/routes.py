"""The hub's calls as a table, and the adapter that checks, decodes and encodes them."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Final, TypeVar, get_type_hints

import msgspec
from aiohttp import web

from chapiteau.core.errors import UsageError
from chapiteau.dash.auth.access import Caller
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.security import CALLER, HUB, require

__all__ = ["Query", "call", "json_body", "routes"]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is given, wherever it stands: in the path, the query, the body, a header."""

    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    method: str
    path: str
    verb: str
    status: int
    query: type[Query] | None
    handler: Callable[..., Awaitable[Any]]

    async def __call__(self, request: web.Request) -> web.Response:
        """Decode, run, encode."""
        arguments: list[Any] = [request.app[HUB], request[CALLER]]
        if self.query is not None:
            arguments.append(await _decode(request, self.query))
        answer = await self.handler(*arguments)
        if isinstance(answer, web.Response):
            return answer
        body = msgspec.json.encode({"ok": True} if answer is None else answer)
        return web.Response(body=body, status=self.status, content_type="application/json")


_CALLS: Final[list[_Call]] = []

_H = TypeVar("_H", bound=Callable[Concatenate[Hub, Caller, ...], Awaitable[Any]])


def call(method: str, path: str, verb: str, *, status: int = 200) -> Callable[[_H], _H]:
    """Put a handler into the table: a coroutine (hub, caller[, query]) that gives the answer.

    `verb` says who may call it, the type of `query` what it must be given; None is {"ok": true}.
    """

    def add(handler: _H) -> _H:
        query = get_type_hints(handler).get("query")
        row = _Call(
            method=method, path=path, verb=verb, status=status, query=query, handler=handler
        )
        _CALLS.append(row)
        return handler

    return add


def routes() -> Iterator[web.RouteDef]:
    """All calls of the table, for aiohttp's router."""
    for row in _CALLS:
        yield web.route(row.method, row.path, require(row.verb)(row.__call__))


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body, which must be a JSON object sent as JSON. Raises UsageError."""
    if request.content_type != "application/json":
        # A form on a foreign page can send text/plain without asking; JSON it can't.
        raise UsageError("send application/json")
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.ValidationError:
        raise UsageError("send a JSON object") from None
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"not JSON: {exc}") from None


async def _decode(request: web.Request, kind: type[Query]) -> Query:
    given: dict[str, Any] = {**request.query, **request.match_info}
    if request.method == "POST":
        given |= await json_body(request)
    if key := request.headers.get("Idempotency-Key"):
        given["idempotency_key"] = key
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise BadRequestError(str(exc).replace(" - at `$.", ": `")) from None
