"""Operations of a document: their ids, and several views of a method as one operation."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

from chapiteau.core.problems import did_you_mean
from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.signature import Link
from chapiteau.service.errors import DeclarationError
from chapiteau.service.openapi import Json

__all__ = ["Ids", "merge_views"]


class Ids:
    """The id of every operation of a document, given in its order."""

    def __init__(self, shown: Sequence[tuple[Any, Operation]]) -> None:
        self._ids: dict[int, str] = {}
        self._operations: dict[str, list[Operation]] = {}
        several: dict[tuple[int, str, str], str] = {}  # views of one method have one id
        for service, op in shown:
            key = (id(service), op.path, op.method)
            made = several.setdefault(key, "") or self._new(service.name, op)
            several[key] = self._ids[id(op)] = made
            self._operations.setdefault(made, []).append(op)

    def of(self, op: Operation) -> str:
        """The id of one operation."""
        return self._ids[id(op)]

    def _new(self, service: str, op: Operation) -> str:
        """The given one, or the handler's name, made longer on a clash."""
        name = getattr(op.handler, "__name__", "")
        plain = re.sub(r"\W+", "_", f"{op.method.lower()}_{service}")
        for wish in (op.options.operation_id, name, f"{service}_{name}", plain):
            if wish and wish not in self._operations and wish != "<lambda>":
                return wish
        number = 2
        while f"{plain}_{number}" in self._operations:
            number += 1
        return f"{plain}_{number}"

    def link(self, link: Link, where: str) -> Json:
        """A link object. Raises DeclarationError when it leads nowhere."""
        target = self._target(link, where)
        views = self._operations[target]
        known = {p.wire for op in views for p in op.parameters} | {"If-Match"}
        for name in link.parameters:
            if name not in known:
                raise DeclarationError(
                    f"{where}: {target} has no parameter {name!r}",
                    hint=did_you_mean(name, known) or "name one that it has",
                )
        made: Json = {"operationId": target}
        if link.parameters:
            made["parameters"] = dict(link.parameters)
        if link.description:
            made["description"] = link.description
        return made

    def _target(self, link: Link, where: str) -> str:
        if isinstance(link.operation, str):
            if link.operation in self._operations:
                return link.operation
            words, hint = link.operation, did_you_mean(link.operation, self._operations)
        else:
            wanted = inspect.unwrap(link.operation)
            for name, views in self._operations.items():
                if any(inspect.unwrap(op.handler) is wanted for op in views):
                    return name
            words, hint = getattr(wanted, "__qualname__", repr(wanted)), ""
        raise DeclarationError(
            f"{where} leads to {words}, which is no operation of this document",
            hint=hint or "name a handler, or its operation id",
        )


# Several views of one method as the one operation that OpenAPI knows.


def merge_views(views: Sequence[Json], names: Sequence[str]) -> Json:
    """Operation objects as one that says of each request and answer what any of them says.

    `names` tell the views apart in words. The first one gives the id and the summary.
    """
    if len(views) == 1:
        return views[0]
    first = views[0]
    made: Json = {"operationId": first["operationId"]}
    made["tags"] = list(dict.fromkeys(tag for view in views for tag in view.get("tags", ())))
    if summary := next((v["summary"] for v in views if v.get("summary")), ""):
        made["summary"] = summary
    made["description"] = _words(views, names)
    if all(view.get("deprecated") for view in views):
        made["deprecated"] = True
    if parameters := _parameters(views):
        made["parameters"] = parameters
    if bodies := [view["requestBody"] for view in views if "requestBody" in view]:
        # Who sends nothing names no media type either, and so means the first.
        made["requestBody"] = _body(bodies, required="requestBody" in first)
    if any("security" in view for view in views):
        made["security"] = _distinct(one for view in views for one in view.get("security", [{}]))
    made["responses"] = _responses(views)
    callbacks = {k: v for view in views for k, v in view.get("callbacks", {}).items()}
    if callbacks:
        made["callbacks"] = callbacks
    return made


def _words(views: Sequence[Json], names: Sequence[str]) -> str:
    lines = []
    for view, name in zip(views, names, strict=True):
        told = " ".join(view.get(key, "") for key in ("summary", "description")).strip()
        lines.append(f"- {name or 'otherwise'}: {told}" if told else f"- {name or 'otherwise'}")
    return "\n".join(lines)


def _parameters(views: Sequence[Json]) -> list[Json]:
    found: dict[tuple[str, str], list[Json]] = {}
    for view in views:
        for one in view.get("parameters", ()):
            found.setdefault((one["in"], one["name"]), []).append(one)
    made = []
    for (place, _), same in found.items():
        one = {key: value for key, value in same[0].items() if key != "required"}
        needed = len(same) == len(views) and all(other.get("required") for other in same)
        if needed or place == "path":
            one["required"] = True
        made.append(one)
    return made


def _body(bodies: Sequence[Json], *, required: bool) -> Json:
    made: Json = {}
    if words := _joined(body.get("description", "") for body in bodies):
        made["description"] = words
    made["content"] = _content(bodies)
    made["required"] = required and bodies[0].get("required", False)
    return made


def _responses(views: Sequence[Json]) -> Json:
    by_status: dict[str, list[Json]] = {}
    for view in views:
        for status, answer in view["responses"].items():
            by_status.setdefault(status, []).append(answer)
    # Good answers before bad ones, each kind in the order of its status.
    ordered = sorted(by_status.items(), key=lambda pair: (pair[0] >= "4", pair[0]))
    return {status: _response(answers) for status, answers in ordered}


def _response(answers: Sequence[Json]) -> Json:
    made: Json = {"description": _joined(answer["description"] for answer in answers)}
    for key in ("headers", "links"):
        if found := {k: v for answer in reversed(answers) for k, v in answer.get(key, {}).items()}:
            made[key] = found
    if any("content" in answer for answer in answers):
        made["content"] = _content(answers)
    return made


def _content(holders: Sequence[Json]) -> Json:
    found: dict[str, list[Json]] = {}
    for holder in holders:
        for media, content in holder.get("content", {}).items():
            found.setdefault(media, []).append(content)
    return {media: _media(contents) for media, contents in found.items()}


def _media(contents: Sequence[Json]) -> Json:
    made: Json = {}
    schemas = [content.get("schema") for content in contents]
    if None not in schemas:  # one that says nothing allows everything
        different = _distinct(schemas)
        made["schema"] = different[0] if len(different) == 1 else {"anyOf": different}
    if examples := {k: v for one in contents for k, v in one.get("examples", {}).items()}:
        made["examples"] = examples
    elif example := [one["example"] for one in contents if "example" in one]:
        made["example"] = example[0]
    return made


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _joined(words: Any) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))
