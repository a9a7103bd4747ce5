"""Two versions of a document: what could break a client that was written for the older one.

What a client sends may become freer, never narrower; what it gets may become more, never less.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.openapi import Json
from chapiteau.service.openapi.lint import operations_of
from chapiteau.service.openapi.normalise import normalise, resolve_schema

__all__ = ["Change", "compare"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    breaking: bool
    where: str
    what: str

    def __str__(self) -> str:
        return f"{'breaking  ' if self.breaking else 'compatible'}  {self.where}: {self.what}"

    def to_dict(self) -> Json:
        """As JSON-ready values."""
        return {"breaking": self.breaking, "where": self.where, "what": self.what}


def compare(old: Json, new: Json) -> list[Change]:
    """Every difference that matters, in the order of the older document."""
    return list(_Comparison(old, new).all())


_SENT, _GOT = "sent", "got"
# A number that limits: for what is sent, +1 means that a larger value is stricter.
_LIMITS: Final = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self.old, self.new = normalise(old), normalise(new)
        self.under_way: set[tuple[str, str, str]] = set()

    def all(self) -> Iterator[Change]:
        before = {(m, _bare(p)): (p, o) for m, p, o in operations_of(self.old)}
        after = {(m, _bare(p)): (p, o) for m, p, o in operations_of(self.new)}
        for (method, bare), (path, operation) in before.items():
            where = f"{method} {path}"
            if (method, bare) not in after:
                yield Change(True, where, "is gone")
                continue
            now, theirs = after[method, bare]
            if now != path:
                yield Change(False, where, f"is written {now} now")
                theirs = _with_names(theirs, now, path)
            yield from self.operation(where, operation, theirs)
        for (method, bare), (path, _) in after.items():
            if (method, bare) not in before:
                yield Change(False, f"{method} {path}", "is new")

    def operation(self, where: str, old: Json, new: Json) -> Iterator[Change]:
        if old.get("operationId") != new.get("operationId"):
            said = f"{old.get('operationId')!r} to {new.get('operationId')!r}"
            yield Change(True, where, f"its id changes from {said}")
        if new.get("deprecated") and not old.get("deprecated"):
            yield Change(False, where, "is deprecated now")
        yield from self.credentials(where, old, new)
        yield from self.parameters(where, old.get("parameters", []), new.get("parameters", []))
        yield from self.bodies(where, old.get("requestBody"), new.get("requestBody"))
        yield from self.answers(where, old.get("responses", {}), new.get("responses", {}))

    def credentials(self, where: str, old: Json, new: Json) -> Iterator[Change]:
        """Whoever could ask before must be able to ask as before."""
        before = old.get("security", self.old.get("security")) or [{}]
        after = new.get("security", self.new.get("security")) or [{}]
        if {} in before and {} not in after:
            yield Change(True, where, "asks for credentials now")
            return
        schemes = [d.get("components", {}).get("securitySchemes", {}) for d in (self.old, self.new)]
        for way in before:
            if not any(_satisfies(way, other) for other in after):
                yield Change(True, where, f"no longer takes {_credentials(way)} alone")
            elif any(_way(schemes[0].get(name)) != _way(schemes[1].get(name)) for name in way):
                yield Change(True, where, f"takes {_credentials(way)} another way now")

    def parameters(self, where: str, old: list[Any], new: list[Any]) -> Iterator[Change]:
        before, after = _by_name(old), _by_name(new)
        for key, parameter in before.items():
            at = f"{where} {parameter['in']} {parameter['name']}"
            if key not in after:
                yield Change(True, at, "is no longer known")
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield Change(True, at, "must be given now")
            if (written := _style(parameter)) != (style := _style(after[key])):
                yield Change(True, at, f"is written {style} now, no longer {written}")
            said, says = parameter.get("schema", {}), after[key].get("schema", {})
            if said.get("default") != says.get("default"):
                words = _becomes("its default", said.get("default"), says.get("default"))
                yield Change(True, at, words)
            yield from self.schema(at, said, says, _SENT)
        for key, parameter in after.items():
            if key not in before:
                must = bool(parameter.get("required"))
                at = f"{where} {parameter['in']} {parameter['name']}"
                yield Change(must, at, "is new" + must * " and required")

    def bodies(self, where: str, old: Any, new: Any) -> Iterator[Change]:
        at = f"{where} body"
        if old is None and new is not None:
            yield Change(bool(new.get("required")), at, "is new")
        if old is None or new is None:
            if old is not None:
                yield Change(False, at, "is no longer read")
            return
        if new.get("required") and not old.get("required"):
            yield Change(True, at, "must be given now")
        for media, content in old.get("content", {}).items():
            if media not in new.get("content", {}):
                yield Change(True, at, f"{media} is no longer read")
                continue
            yield from self.schema(
                at, content.get("schema", {}), new["content"][media].get("schema", {}), _SENT
            )

    def answers(self, where: str, old: Json, new: Json) -> Iterator[Change]:
        for status, answer in old.items():
            at = f"{where} {status}"
            if status not in new:
                yield Change(status.startswith("2"), at, "is no longer answered")
                continue
            for name in answer.get("headers", {}):
                if name not in new[status].get("headers", {}):
                    yield Change(status.startswith("2"), at, f"the header {name} is gone")
            for media, content in answer.get("content", {}).items():
                theirs = new[status].get("content", {})
                if media not in theirs:
                    yield Change(True, at, f"{media} is no longer answered")
                    continue
                yield from self.schema(
                    at, content.get("schema", {}), theirs[media].get("schema", {}), _GOT
                )
        for status in new:
            if status not in old:
                yield Change(False, f"{where} {status}", "is a new answer")

    # ── schemas ──────────────────────────────────────────────────────────────────────────────
    def schema(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        refs = [one.get("$ref") if isinstance(one, dict) else None for one in (old, new)]
        key = (str(refs[0]), str(refs[1]), way)
        if any(refs):
            if key in self.under_way:
                return
            self.under_way.add(key)
        old, new = resolve_schema(self.old, old), resolve_schema(self.new, new)
        if old != new or "$ref" in str(old):
            yield from self._kinds(where, old, new, way)
            yield from self._limits(where, old, new, way)
            yield from self._objects(where, old, new, way)
            yield from self._inner(where, old, new, way)
        self.under_way.discard(key)

    def _kinds(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        before, after = _types(self.old, old), _types(self.new, new)
        if before != after:
            narrower = not _within(before, after) if way == _SENT else not _within(after, before)
            yield Change(narrower, where, f"{_listed(before)} becomes {_listed(after)}")
        if way == _SENT and "enum" in new and "enum" not in old:
            yield Change(True, where, f"only {new['enum']} is possible now")
        if way == _GOT and "enum" in old and "enum" not in new:
            yield Change(True, where, f"more than {old['enum']} is possible now")
        if "format" in old and "format" in new and old["format"] != new["format"]:
            yield Change(True, where, f"format {old['format']} becomes {new['format']}")
        lost = [v for v in old.get("enum", []) if v not in new.get("enum", [])]
        won = [v for v in new.get("enum", []) if v not in old.get("enum", [])]
        if "enum" in old and "enum" in new and (lost or won):
            if lost:
                yield Change(way == _SENT, where, f"{lost} is no longer possible")
            if won:
                yield Change(way == _GOT, where, f"{won} is possible now")

    def _inner(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        """Items of lists, values of mappings, alternatives: each with its like."""
        for key in ("items", "additionalProperties"):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                yield from self.schema(f"{where}/*", old[key], new[key], way)
        for at, (mine, theirs) in enumerate(
            zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        ):
            yield from self.schema(f"{where}/{at}", mine, theirs, way)
        before, after = _alternatives(old), _alternatives(new)
        if len(before) == 1 and len(after) == 1:
            return  # compared already, as a whole
        for mine in before:
            theirs = self._like(mine, before, after)
            if theirs is not None:
                yield from self.schema(where, mine, theirs, way)
            elif way == _SENT and _types(self.old, mine) <= {"object"}:
                yield Change(True, where, f"{_name(mine)} is no longer possible")
        for theirs in after if way == _GOT else ():
            if self._like(theirs, after, before, turned=True) is None and "object" in _types(
                self.new, theirs
            ):
                yield Change(True, where, f"{_name(theirs)} is possible now")

    def _like(self, one: Any, own: list[Any], others: list[Any], *, turned: bool = False) -> Any:
        """The alternative on the other side that is of the same name, says the same or has the same
        mark, or is the only one of its kind; `turned`: `one` is of the new document."""
        if "$ref" in one and one in others:
            return one
        mine, theirs = (self.new, self.old) if turned else (self.old, self.new)
        told, mark = resolve_schema(mine, one), _mark(mine, one)
        for other in others:
            if resolve_schema(theirs, other) == told or (mark and _mark(theirs, other) == mark):
                return other
        kinds = _types(self.old, one) or _types(self.new, one)
        alike = [x for x in own if (_types(self.old, x) or _types(self.new, x)) == kinds]
        same = [x for x in others if (_types(self.new, x) or _types(self.old, x)) == kinds]
        return same[0] if len(alike) == len(same) == 1 else None

    def _limits(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        for name, sign in _LIMITS.items():
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            stricter = before is None or (after is not None and (after - before) * sign > 0)
            broken = stricter if way == _SENT else not stricter
            yield Change(broken, where, _becomes(name, before, after))
        if old.get("pattern") != new.get("pattern"):
            broken = new.get("pattern") is not None if way == _SENT else new.get("pattern") is None
            words = _becomes("pattern", old.get("pattern"), new.get("pattern"))
            yield Change(broken, where, words)

    def _objects(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must_before, must_after = set(old.get("required", [])), set(new.get("required", []))
        closed = new.get("additionalProperties") is False
        if way == _SENT and closed and old.get("additionalProperties") is not False and before:
            yield Change(True, where, "fields that are not known are refused now")
        for name, schema in before.items():
            at = f"{where}/{name}"
            if name not in after:
                yield Change(way == _GOT or closed, at, "is gone")
                continue
            if way == _SENT and name in must_after - must_before:
                yield Change(True, at, "must be given now")
            if way == _GOT and name in must_before - must_after:
                yield Change(True, at, "may be missing now")
            yield from self.schema(at, schema, after[name], way)
        for name in after:
            if name not in before:
                must = way == _SENT and name in must_after
                yield Change(must, f"{where}/{name}", "is new" + must * " and required")


_PARAMETER: Final = re.compile(r"\{[^{}]*\}")


def _bare(path: str) -> str:
    """A path without the names of its parameters: what a request sees."""
    return _PARAMETER.sub("{}", path)


def _with_names(operation: Json, now: str, before: str) -> Json:
    """An operation whose parameters of the path have the names that they had before."""
    names = dict(zip(_PARAMETER.findall(now), _PARAMETER.findall(before), strict=True))
    renamed = [
        {**one, "name": names.get(f"{{{one['name']}}}", one["name"]).strip("{}")}
        if one.get("in") == "path"
        else one
        for one in operation.get("parameters", ())
    ]
    return {**operation, "parameters": renamed}


def _by_name(parameters: list[Any]) -> dict[tuple[str, str], Any]:
    """Parameters by place and name; names of headers are the same in any case."""
    return {
        (one["in"], one["name"].lower() if one["in"] == "header" else one["name"]): one
        for one in parameters
        if "in" in one and "name" in one
    }


def _style(parameter: Json) -> str:
    """How a parameter of several values is written."""
    place = parameter["in"]
    style = parameter.get("style") or ("form" if place in ("query", "cookie") else "simple")
    exploded = parameter.get("explode", style == "form")
    return f"as {style}, {'exploded' if exploded else 'not exploded'}"


def _satisfies(given: dict[str, list[str]], wanted: dict[str, list[str]]) -> bool:
    """Whether credentials that were enough still are."""
    return all(name in given and set(scopes) <= set(given[name]) for name, scopes in wanted.items())


def _credentials(way: dict[str, list[str]]) -> str:
    told = [f"{name} ({' '.join(scopes)})" if scopes else name for name, scopes in way.items()]
    return " with ".join(told) or "nothing"


def _way(scheme: Any) -> Any:
    """How a scheme is used: all but the words about it."""
    return {k: v for k, v in (scheme or {}).items() if k != "description"}


def _within(kinds: set[str], others: set[str]) -> bool:
    """Whether each of the kinds is among the others (none: anything); integers are numbers too."""
    if not (kinds and others):
        return not others
    return all(kind in others or (kind == "integer" and "number" in others) for kind in kinds)


def _alternatives(schema: Any) -> list[Any]:
    found: list[Any] = []
    for key in ("anyOf", "oneOf"):
        for part in schema.get(key, ()):
            found += _alternatives(part) if "anyOf" in part or "oneOf" in part else [part]
    return found or [schema]


def _mark(document: Json, schema: Any) -> Json:
    """What tells an alternative from the others: its properties with one possible value."""
    properties = resolve_schema(document, schema).get("properties", {})
    told = {name: resolve_schema(document, one).get("enum", []) for name, one in properties.items()}
    return {name: values[0] for name, values in told.items() if len(values) == 1}


def _name(schema: Any) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2] or str(schema.get("title", "object"))


def _listed(kinds: set[str]) -> str:
    return ", ".join(sorted(kinds)) or "anything"


_NAMES: Final = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null",
    dict: "object", list: "array",
}  # fmt: skip


def _types(document: Json, schema: Any) -> set[str]:
    schema = resolve_schema(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return {name for part in schema[key] for name in _types(document, part)}
    kind = schema.get("type")
    if kind is None:
        return {_NAMES[type(v)] for v in schema["enum"]} if "enum" in schema else set()
    return set(kind) if isinstance(kind, list) else {kind}


def _becomes(name: str, before: object, after: object) -> str:
    """A setting that changes, appears or goes; None: there is none."""
    if before is None:
        return f"{name} is {after!r} now"
    return (
        f"{name} {before!r} becomes {after!r}"
        if after is not None
        else f"{name} {before!r} is gone"
    )
