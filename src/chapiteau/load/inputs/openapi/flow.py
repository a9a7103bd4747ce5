"""The sessions of an API: one operation by weight, with what has to come before it.

Laws. An id comes from what the service itself has shown, or from the schema when it shows none.
PUT, PATCH and DELETE touch only what this run has created, wherever the document has a way to
create. A condition (If-Match) carries the ETag that the session was given for that very URL.
A session whose preparation failed ends there.
"""

import itertools
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from chapiteau.load.inputs.openapi.id_sources import (
    IdSource,
    created_id,
    id_sources,
    item_id,
    linked_value,
    list_items,
)
from chapiteau.load.inputs.openapi.operations import Operation
from chapiteau.load.inputs.openapi.request_builder import RequestBuilder
from chapiteau.load.scenario.flow import FlowRequest, FlowResponse, FlowState

if TYPE_CHECKING:
    import random

__all__ = ["OpenApiFlow"]

_SCRIPT: Final = "openapi script"  # key of the session's own script in Seen.values
_CHANGES: Final = frozenset({"PUT", "PATCH", "DELETE"})
_REFRESH: Final = 0.05  # how often a list that is known is read anew for its ids
_DEEPEST: Final = 3  # lists that feed lists
_POOL: Final = 50  # created things remembered for one collection

Bound = dict[str, Any]
Script = Generator[FlowRequest, None, None]
Search = Generator[FlowRequest, None, Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An operation that sessions may be about."""

    writer: RequestBuilder
    weight: float
    sources: tuple[IdSource, ...]
    reader: RequestBuilder | None  # GET of the same URL, for the ETag; None when none is asked for

    @property
    def operation(self) -> Operation:
        return self.writer.operation


@dataclass(frozen=True, slots=True)
class _Hunt:
    """A search for ids: for whom, how deep, and whether only created things will do."""

    chance: "random.Random"
    seen: FlowState
    method: str
    own: bool = False
    depth: int = 0

    def deeper(self) -> "_Hunt":
        """The same for what feeds the feeder: anything that is there will do."""
        return _Hunt(self.chance, self.seen, self.method, own=False, depth=self.depth + 1)


class OpenApiFlow:
    """Sessions over the chosen operations of one document."""

    def __init__(
        self,
        title: str,
        chosen: Iterable[tuple[Operation, float]],
        writers: Mapping[str, RequestBuilder],
    ) -> None:
        """`writers` has every operation that may be sent: the chosen ones, and what feeds them."""
        self._title = title
        self._writers = writers
        known = [writer.operation for writer in writers.values()]
        self._sources = {o.name: id_sources(o, known) for o in known}
        entries = [self._entry(o, weight, known) for o, weight in chosen]
        self._entries = [e for e in entries if _possible(e)]
        self._left_out = [e.operation.name for e in entries if not _possible(e)]
        self._weights = list(itertools.accumulate(e.weight for e in self._entries))

    def _entry(self, operation: Operation, weight: float, known: list[Operation]) -> _Entry:
        reader = next((o for o in known if o.method == "GET" and o.path == operation.path), None)
        wanted = reader is not None and _is_conditional(operation)
        return _Entry(
            writer=self._writers[operation.name],
            weight=weight,
            sources=self._sources[operation.name],
            reader=self._writers[reader.name] if reader is not None and wanted else None,
        )

    @property
    def name(self) -> str:
        """The document's title."""
        return self._title

    @property
    def operations(self) -> list[tuple[str, float]]:
        """Names of the operations that sessions are about, with their share of the sessions."""
        total = self._weights[-1] if self._weights else 1.0
        return [(e.operation.name, e.weight / total) for e in self._entries]

    def outline(self) -> list[str]:
        """Each operation, its share of the sessions and where its ids come from."""
        lines = []
        for entry, (name, share) in zip(self._entries, self.operations, strict=True):
            fed = ", ".join(f"{s.parameter} from {_origin(s, entry)}" for s in entry.sources)
            lines.append(f"{share:6.1%}  {name}" + (f"  ({fed})" if fed else ""))
        reason = "nothing in the document creates what it deletes"
        return lines + [f"   out  {name}  ({reason})" for name in self._left_out]

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The session's next request; None when it is over."""
        script: Script | None = seen.values.get(_SCRIPT)
        if script is None:
            if not self._entries:
                return None
            entry = chance.choices(self._entries, cum_weights=self._weights)[0]
            script = seen.values[_SCRIPT] = self._script(entry, chance, seen)
        return next(script, None)

    # ── one session ─────────────────────────────────────────────────────────────────────────

    def _script(self, entry: _Entry, chance: "random.Random", seen: FlowState) -> Script:
        bound: Bound = {}
        for source in entry.sources:
            own = entry.operation.method in _CHANGES and source is entry.sources[-1]
            hunt = _Hunt(chance, seen, entry.operation.method, own=own)
            value = yield from self._search(source, bound, hunt)
            if value is None and own and source.creator is not None:
                return  # what was to be changed could not be created
            if value is not None:
                bound[source.parameter] = value
            else:
                bound[source.parameter] = entry.writer.made(source.parameter, chance)
        condition: tuple[tuple[str, str], ...] = ()
        if entry.reader is not None:
            yield entry.reader.request(chance, bound, remember=True)
            if not _good(seen.last):
                return
            condition = _condition(seen.last)
        yield from self._main(entry, bound, condition, chance, seen)

    def _main(
        self,
        entry: _Entry,
        bound: Bound,
        condition: tuple[tuple[str, str], ...],
        chance: "random.Random",
        seen: FlowState,
    ) -> Script:
        """The request that the session is about."""
        operation = entry.operation
        items = seen.memory.get(_items_key(operation))
        item = chance.choice(items) if items else None
        remember = operation.method == "GET" and (not items or chance.random() < _REFRESH)
        yield entry.writer.request(
            chance,
            bound,
            item=item if isinstance(item, Mapping) else None,
            headers=condition,
            remember=remember or operation.method == "POST",
        )
        self._harvest(operation, seen)

    def _search(self, source: IdSource, bound: Bound, hunt: _Hunt) -> Search:
        """A value for one path parameter; None when the service shows none."""
        if hunt.own and source.creator is not None:
            return (yield from self._created(source, bound, hunt))
        items = yield from self._items(source, bound, hunt)
        if items:
            return item_id(hunt.chance.choice(items), source.parameter)
        if source.creator is not None and hunt.method != "POST":
            return (yield from self._created(source, bound, hunt))
        if source.linker is not None and set(_names(source.linker)) <= set(bound):
            yield self._writers[source.linker.name].request(hunt.chance, bound, remember=True)
            last = hunt.seen.last
            return linked_value(source.expression, last) if _good(last) else None
        return None

    def _items(self, source: IdSource, bound: Bound, hunt: _Hunt) -> Search:
        """The items of the list that feeds a parameter: remembered, or read now."""
        if source.lister is None:
            return []
        key = _items_key(source.lister)
        # The items of `/cities/{id}/notes` belong to one city: remembered ones are another's.
        kept = source.apart or not _names(source.lister)
        items = hunt.seen.memory.get(key) if kept else None
        if not items:
            inner = yield from self._complete(source.lister, bound, hunt)
            writer = self._writers[source.lister.name]
            yield writer.request(hunt.chance, inner, remember=True, bare=True)
            items = self._harvest(source.lister, hunt.seen)
        return items

    def _created(self, source: IdSource, bound: Bound, hunt: _Hunt) -> Search:
        """The id of something that this run has created; for DELETE, just now."""
        assert source.creator is not None  # noqa: S101 — asked by both callers
        key = f"created {source.creator.name}"
        fresh = hunt.own and hunt.method == "DELETE"
        pool = hunt.seen.memory.setdefault(key, [])
        if pool and not fresh:
            around, known = hunt.chance.choice(pool)
            bound.update(around)
            return known
        inner = yield from self._complete(source.creator, bound, hunt)
        yield self._writers[source.creator.name].request(hunt.chance, inner, remember=True)
        last = hunt.seen.last
        value = created_id(last, source) if _good(last) else None
        if value is not None:
            bound.update({} if source.apart else inner)
            if not fresh:
                # By no name: `/services/{id}` and `/services/{service}/notes` share the pool.
                pool.append((dict(bound), value))
                del pool[:-_POOL]
        return value

    def _complete(self, operation: Operation, bound: Bound, hunt: _Hunt) -> Search:
        """Values for all path parameters of an operation that feeds another."""
        inner = dict(bound)
        for source in self._sources[operation.name]:
            if source.parameter in inner:
                continue
            value = None
            if hunt.depth < _DEEPEST:
                value = yield from self._search(source, inner, hunt.deeper())
            if value is None:
                value = self._writers[operation.name].made(source.parameter, hunt.chance)
            inner[source.parameter] = value
        return inner

    def _harvest(self, operation: Operation, seen: FlowState) -> list[Any]:
        """Keep the items of a list's answer for sessions to come; give them back."""
        if operation.method != "GET" or not _good(seen.last) or seen.last is None:
            return []
        items = list_items(seen.last.json)
        if items:
            seen.memory[_items_key(operation)] = items
        return items


def _possible(entry: _Entry) -> bool:
    """DELETE needs a creator, or to be asked for by a weight in the document."""
    operation = entry.operation
    if operation.method != "DELETE" or operation.weight is not None:
        return True
    return bool(entry.sources) and entry.sources[-1].creator is not None


def _is_conditional(operation: Operation) -> bool:
    if operation.method not in {*_CHANGES, "POST"}:
        return False
    return operation.called("If-Match") is not None or bool({"412", "428"} & operation.statuses)


def _condition(answer: FlowResponse | None) -> tuple[tuple[str, str], ...]:
    tag = answer.headers.get("etag", "") if answer is not None else ""
    # RFC 9110, 13.1.1: If-Match compares strongly, so a weak tag could never match.
    return (("If-Match", tag.removeprefix("W/")),) if tag else ()


def _good(answer: FlowResponse | None) -> TypeGuard[FlowResponse]:
    return answer is not None and 200 <= answer.status < 300


def _items_key(operation: Operation) -> str:
    return f"items {operation.name}"


def _names(operation: Operation) -> list[str]:
    return [p.name for p in operation.parameters if p.place == "path"]


def _origin(source: IdSource, entry: _Entry) -> str:
    last = source is entry.sources[-1]
    if last and entry.operation.method in _CHANGES and source.creator is not None:
        return source.creator.name
    for operation in (source.lister, source.creator, source.linker):
        if operation is not None:
            return operation.name
    return "its schema"
