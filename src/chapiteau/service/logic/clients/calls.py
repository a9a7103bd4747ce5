"""The operations of a document as any client needs them: names, arguments, answer."""

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chapiteau.service.logic.document.lint import operations_of

__all__ = ["Argument", "Call", "calls", "snake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One parameter: its name in code, its name on the wire, where it goes."""

    name: str
    wire: str
    place: str
    schema: dict[str, Any]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation."""

    name: str
    method: str
    path: str
    words: str
    arguments: tuple[Argument, ...]
    body: dict[str, Any] | None
    body_required: bool
    answer: dict[str, Any] | None


def calls(document: dict[str, Any]) -> Iterator[Call]:
    """Every operation that speaks JSON, in the document's order; required arguments first."""
    for method, path, operation in operations_of(document):
        arguments = [_argument(p) for p in operation.get("parameters", ()) if p["in"] != "cookie"]
        body = operation.get("requestBody")
        yield Call(
            name=snake(operation.get("operationId") or f"{method.lower()} {path}"),
            method=method,
            path=path,
            words=operation.get("summary", ""),
            arguments=tuple(sorted(arguments, key=lambda a: not a.required)),
            body=_json_of(body.get("content", {})) if body else None,
            body_required=bool(body and body.get("required")),
            answer=_answer(operation.get("responses", {})),
        )


def _argument(parameter: dict[str, Any]) -> Argument:
    return Argument(
        name=snake(parameter["name"]),
        wire=parameter["name"],
        place=parameter["in"],
        schema=parameter.get("schema", {}),
        required=bool(parameter.get("required")),
    )


def _json_of(content: dict[str, Any]) -> dict[str, Any] | None:
    for media, one in content.items():
        if media == "application/json" or media.endswith("+json"):
            schema: dict[str, Any] = one.get("schema", {})
            return schema
    return None


def _answer(responses: dict[str, Any]) -> dict[str, Any] | None:
    for status, response in responses.items():
        if status.startswith("2"):
            return _json_of(response.get("content", {}))
    return None


def snake(text: str) -> str:
    """A name in code: `If-Match` and `ifMatch` become `if_match`."""
    parts = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    name = re.sub(r"\W+", "_", parts).strip("_").lower() or "value"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name
