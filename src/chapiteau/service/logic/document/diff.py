"""Two versions of a document: what could break a client that was written for the older one.

What a client sends may become freer, never narrower; what it gets may become more, never less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.logic.document.lint import operations_of

__all__ = ["Change", "compare"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    breaking: bool
    where: str
    what: str

    def __str__(self) -> str:
        return f"{'breaking  ' if self.breaking else 'compatible'}  {self.where}: {self.what}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"breaking": self.breaking, "where": self.where, "what": self.what}


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Every difference that matters, in the order of the older document."""
    return list(_Comparison(old, new).all())


_SENT, _GOT = "sent", "got"
# A number that limits: for what is sent, +1 means that a larger value is stricter.
_LIMITS: Final = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old, self.new = old, new
        self.under_way: set[tuple[str, str, str]] = set()

    def all(self) -> Iterator[Change]:
        before = {(m, p): o for m, p, o in operations_of(self.old)}
        after = {(m, p): o for m, p, o in operations_of(self.new)}
        for (method, path), operation in before.items():
            where = f"{method} {path}"
            if (method, path) not in after:
                yield Change(True, where, "is gone")
                continue
            yield from self.operation(where, operation, after[method, path])
        for method, path in after:
            if (method, path) not in before:
                yield Change(False, f"{method} {path}", "is new")

    def operation(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
        if old.get("operationId") != new.get("operationId"):
            said = f"{old.get('operationId')!r} to {new.get('operationId')!r}"
            yield Change(True, where, f"its id changes from {said}")
        if new.get("deprecated") and not old.get("deprecated"):
            yield Change(False, where, "is deprecated now")
        if new.get("security") and not old.get("security"):
            yield Change(True, where, "asks for credentials now")
        yield from self.parameters(where, old.get("parameters", []), new.get("parameters", []))
        yield from self.bodies(where, old.get("requestBody"), new.get("requestBody"))
        yield from self.answers(where, old.get("responses", {}), new.get("responses", {}))

    def parameters(self, where: str, old: list[Any], new: list[Any]) -> Iterator[Change]:
        before = {(p["in"], p["name"]): p for p in old}
        after = {(p["in"], p["name"]): p for p in new}
        for key, parameter in before.items():
            at = f"{where} {key[0]} {key[1]}"
            if key not in after:
                yield Change(True, at, "is no longer known")
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield Change(True, at, "must be given now")
            yield from self.schema(
                at, parameter.get("schema", {}), after[key].get("schema", {}), _SENT
            )
        for key, parameter in after.items():
            if key not in before:
                must = bool(parameter.get("required"))
                yield Change(must, f"{where} {key[0]} {key[1]}", "is new" + must * " and required")

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

    def answers(self, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
        for status, answer in old.items():
            at = f"{where} {status}"
            if status not in new:
                yield Change(status.startswith("2"), at, "is no longer answered")
                continue
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
        key = (str(old.get("$ref")), str(new.get("$ref")), way)
        if "$ref" in old or "$ref" in new:
            if key in self.under_way:
                return
            self.under_way.add(key)
        old, new = _followed(self.old, old), _followed(self.new, new)
        if old != new or "$ref" in str(old):
            yield from self._kinds(where, old, new, way)
            yield from self._limits(where, old, new, way)
            yield from self._objects(where, old, new, way)
            if "items" in old and "items" in new:
                yield from self.schema(f"{where}/*", old["items"], new["items"], way)
        self.under_way.discard(key)

    def _kinds(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        before, after = _types(self.old, old), _types(self.new, new)
        if before != after:
            narrower = not before <= after if way == _SENT else not after <= before
            yield Change(narrower, where, f"{_listed(before)} becomes {_listed(after)}")
        lost = [v for v in old.get("enum", []) if v not in new.get("enum", [])]
        won = [v for v in new.get("enum", []) if v not in old.get("enum", [])]
        if "enum" in old and "enum" in new and (lost or won):
            if lost:
                yield Change(way == _SENT, where, f"{lost} is no longer possible")
            if won:
                yield Change(way == _GOT, where, f"{won} is possible now")

    def _limits(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        for name, sign in _LIMITS.items():
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            stricter = before is None or (after is not None and (after - before) * sign > 0)
            broken = stricter if way == _SENT else not stricter
            yield Change(broken, where, f"{name} {before} becomes {after}")
        if old.get("pattern") != new.get("pattern"):
            broken = new.get("pattern") is not None if way == _SENT else new.get("pattern") is None
            yield Change(
                broken, where, f"pattern {old.get('pattern')} becomes {new.get('pattern')}"
            )

    def _objects(self, where: str, old: Any, new: Any, way: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must_before, must_after = set(old.get("required", [])), set(new.get("required", []))
        closed = new.get("additionalProperties") is False
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


def _listed(kinds: set[str]) -> str:
    return ", ".join(sorted(kinds)) or "anything"


def _followed(document: dict[str, Any], schema: Any) -> Any:
    reference = schema.get("$ref", "")
    if not reference.startswith("#/"):
        return schema
    found: Any = document
    for part in reference[2:].split("/"):
        found = found.get(part, {})
    return found


def _types(document: dict[str, Any], schema: Any) -> set[str]:
    schema = _followed(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return {name for part in schema[key] for name in _types(document, part)}
    kind = schema.get("type")
    if kind is None:
        return {type(v).__name__ for v in schema["enum"]} if "enum" in schema else set()
    return set(kind) if isinstance(kind, list) else {kind}
