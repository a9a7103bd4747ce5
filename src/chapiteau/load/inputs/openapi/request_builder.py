"""One operation → requests: parameters, body and credentials filled in, all compiled beforehand."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.inputs.openapi.operations import AppliedCredentials, Body, Operation, Parameter
from chapiteau.load.inputs.openapi.serialization import (
    encode_body,
    preferred_body,
    serialize_cookie,
    serialize_header,
    serialize_path,
    serialize_query,
)
from chapiteau.load.inputs.schema_sampler import Sampler
from chapiteau.load.inputs.schema_scalars import SampleContext, ValueGenerator
from chapiteau.load.scenario.flow import FlowRequest

if TYPE_CHECKING:
    import random

__all__ = ["RequestBuilder", "expected_statuses"]

_OPTIONAL: Final = 0.3  # how often an optional query parameter is sent
_WITH_EXAMPLE: Final = 0.6  # … when the document gives examples for it
_FROM_ITEMS: Final = 0.5  # how often a filter takes a value seen in the list itself
# Places in a list that only an answer can tell: sent never, unless they are required.
_CURSORS: Final = ("cursor", "token", "after", "before", "since", "until", "continuation", "marker")
# Conditions about a version that only an answer can tell; the session fills them in.
_CONDITIONS: Final = frozenset(
    {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"}
)
# Documented or not, a load test that meets these does not test what was asked.
_NEVER: Final = frozenset({401, 403, 429})


def expected_statuses(operation: Operation) -> frozenset[int]:
    """The statuses that are good: those documented, but no 5xx, 401, 403 or 429.

    `default` stands for every status below 500; an operation without any is held to < 400.
    """
    found: set[int] = set()
    for status in operation.statuses:
        if status == "DEFAULT":
            found |= set(range(100, 500))
        elif len(status) == 3 and status.isdecimal():
            found.add(int(status))
        elif len(status) == 3 and status.endswith("XX") and status[0] in "1234":
            found |= set(range(int(status[0]) * 100, int(status[0]) * 100 + 100))
    return frozenset(s for s in found if s < 500) - _NEVER


class RequestBuilder:
    """Writes the requests of one operation."""

    def __init__(self, operation: Operation, sampler: Sampler, badge: AppliedCredentials) -> None:
        self.operation = operation
        self._badge = badge
        self._expect = expected_statuses(operation)
        self._makers = {id(p): _maker(p, sampler) for p in operation.parameters}
        self._by_place = {
            place: [p for p in operation.parameters if p.place == place and _usable(p)]
            for place in ("path", "query", "header", "cookie")
        }
        self._body = preferred_body(operation.bodies)
        self._body_maker = _body_maker(self._body, sampler) if self._body else None
        self._pieces = _split(operation.path)

    def request(
        self,
        chance: "random.Random",
        bound: Mapping[str, Any],
        *,
        item: Mapping[str, Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        remember: bool = False,
        bare: bool = False,
    ) -> FlowRequest:
        """A request; `bound` gives path parameters, `item` values for filters of the same name.

        A `bare` one has no optional parameters: a list read for its ids must not be narrowed.
        """
        url = self._path(chance, bound)
        query = "&".join(self._query(chance, item or {}, bare=bare))
        content_type, body = self._written_body(chance)
        return FlowRequest(
            method=self.operation.method,
            url=f"{url}?{query}" if query else url,
            headers=self._headers(chance, content_type) + headers,
            body=body,
            name=self.operation.name,
            expect=self._expect,
            tags=self.operation.tags,
            remember=remember,
        )

    def made(self, name: str, chance: "random.Random") -> Any:
        """A value for the path parameter `name`, as its schema allows it."""
        parameter = next(p for p in self._by_place["path"] if p.name == name)
        return self._value(parameter, chance)

    def _path(self, chance: "random.Random", bound: Mapping[str, Any]) -> str:
        made = {p.name: p for p in self._by_place["path"]}
        pieces = [self.operation.server]
        for text, name in self._pieces:
            pieces.append(text)
            if name:
                parameter = made[name]
                value = bound[name] if name in bound else self._value(parameter, chance)
                pieces.append(serialize_path(parameter, value))
        return "".join(pieces)

    def _query(self, chance: "random.Random", item: Mapping[str, Any], *, bare: bool) -> list[str]:
        pieces = list(self._badge.query)
        for parameter in self._by_place["query"]:
            share = _WITH_EXAMPLE if parameter.examples else _OPTIONAL
            if not parameter.required and (bare or chance.random() >= share):
                continue
            value = item.get(parameter.name)
            if not isinstance(value, str | int | float) or chance.random() >= _FROM_ITEMS:
                value = self._value(parameter, chance)
            if value is not None:
                pieces.append(serialize_query(parameter, value))
        return [piece for piece in pieces if piece]

    def _headers(self, chance: "random.Random", content_type: str) -> tuple[tuple[str, str], ...]:
        headers = [*self._badge.headers]
        if self.operation.accept:
            headers.append(("Accept", self.operation.accept))
        if content_type:
            headers.append(("Content-Type", content_type))
        for parameter in self._by_place["header"]:
            if parameter.required:
                text = serialize_header(parameter, self._value(parameter, chance))
                headers.append((parameter.name, text))
        cookies = [
            serialize_cookie(p, self._value(p, chance))
            for p in self._by_place["cookie"]
            if p.required
        ]
        cookies += self._badge.cookies
        if cookies:
            headers.append(("Cookie", "; ".join(cookies)))
        return tuple(headers)

    def _written_body(self, chance: "random.Random") -> tuple[str, bytes]:
        if self._body is None or self._body_maker is None:
            return "", b""
        return encode_body(self._body, self._body_maker(SampleContext(chance), 0), chance)

    def _value(self, parameter: Parameter, chance: "random.Random") -> Any:
        return self._makers[id(parameter)](SampleContext(chance), 0)


def _usable(parameter: Parameter) -> bool:
    if parameter.place == "header" and parameter.name.lower() in _CONDITIONS:
        return False
    last = parameter.name.lower()
    return parameter.required or not last.endswith(_CURSORS)


def _maker(parameter: Parameter, sampler: Sampler) -> ValueGenerator:
    return _exampled(sampler.maker(parameter.schema, parameter.where, parameter.name), parameter, 1)


def _body_maker(body: Body, sampler: Sampler) -> ValueGenerator:
    return _exampled(sampler.maker(body.schema, body.where), body, 0.5)


def _exampled(made: ValueGenerator, described: Parameter | Body, share: float) -> ValueGenerator:
    """The same, with the examples beside the schema taken that often."""
    examples = described.examples
    if not examples:
        return made

    def write(draw: SampleContext, depth: int) -> Any:
        if draw.chance.random() < share:
            return draw.chance.choice(examples)
        return made(draw, depth)

    return write


def _split(path: str) -> list[tuple[str, str]]:
    """`/a/{x}/b` → ("/a/", "x"), ("/b", "")."""
    pieces: list[tuple[str, str]] = []
    for piece in path.split("{"):
        name, closed, text = piece.partition("}")
        if closed:
            pieces[-1] = (pieces[-1][0], name)
            pieces.append((text, ""))
        else:
            pieces.append((piece, ""))
    return pieces
