"""The operations of a document as any client needs them: names, arguments, answer."""

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.openapi.lint import operations_of
from chapiteau.service.openapi.normalise import normalise

__all__ = ["Argument", "Body", "Call", "calls", "is_upload", "snake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One parameter: its name in code, its name on the wire, where it goes."""

    name: str
    wire: str
    place: str
    schema: dict[str, Any]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent: its media type (bytes unless it is JSON or a form), schema, and need."""

    media: str
    schema: dict[str, Any]
    required: bool

    @property
    def is_bytes(self) -> bool:
        """Whether the client can't make it from a value."""
        base = _base(self.media)
        return not (_is_json(base) or base in _FORMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation; `accept` is the media type that is asked for, `answer` its schema.

    An answer that is not JSON has no schema and `is_bytes`. `constants` are headers that an
    operation always wants the same.
    """

    name: str
    method: str
    path: str
    words: str
    arguments: tuple[Argument, ...]
    constants: dict[str, str]
    body: Body | None
    answer: dict[str, Any] | None
    accept: str
    is_bytes: bool

    @property
    def streams(self) -> bool:
        """Whether the answer may never end: it is given piece by piece."""
        return _base(self.accept) == "text/event-stream"


_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_JSON: Final = "application/json"


def _base(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _is_json(base: str) -> bool:
    return base == _JSON or base.endswith("+json")


def calls(document: dict[str, Any]) -> Iterator[Call]:
    """Every operation, in the document's order; required arguments first."""
    for method, path, operation in operations_of(normalise(document)):
        given = list(operation.get("parameters", ()))
        constants = {p["name"]: str(p["schema"]["enum"][0]) for p in given if _is_constant(p)}
        arguments = _arguments([p for p in given if p["name"] not in constants])
        answer, accept, is_bytes = _answer(operation.get("responses", {}))
        yield Call(
            name=snake(operation.get("operationId") or f"{method.lower()} {path}"),
            method=method,
            path=path,
            words=operation.get("summary", ""),
            arguments=tuple(sorted(arguments, key=lambda a: not a.required)),
            constants=constants,
            body=_body(operation.get("requestBody")),
            answer=answer,
            accept=accept,
            is_bytes=is_bytes,
        )


def _is_constant(parameter: dict[str, Any]) -> bool:
    """A header with one possible value, as the one that names a version."""
    return parameter["in"] == "header" and len(parameter.get("schema", {}).get("enum", ())) == 1


def _arguments(parameters: list[dict[str, Any]]) -> list[Argument]:
    found, taken = [], {"body", "options"}
    for parameter in parameters:
        name = snake(parameter["name"])
        name = name if name not in taken else snake(f"{name}_{parameter['in']}")
        taken.add(name)
        found.append(
            Argument(
                name=name,
                wire=parameter["name"],
                place=parameter["in"],
                schema=parameter.get("schema", {}),
                required=bool(parameter.get("required")),
            )
        )
    return found


def _body(body: dict[str, Any] | None) -> Body | None:
    content = (body or {}).get("content", {})
    if not content:
        return None
    liked = min(content, key=lambda m: (not _is_json(_base(m)), _base(m) not in _FORMS))
    schema = content[liked].get("schema", {})
    return Body(media=liked, schema=schema, required=bool((body or {}).get("required")))


def _answer(responses: dict[str, Any]) -> tuple[dict[str, Any] | None, str, bool]:
    """Schema, media type to ask for, and whether it comes as bytes."""
    good = [one for status, one in responses.items() if status.startswith("2")]
    content: dict[str, Any] = good[0].get("content", {}) if good else {}
    for media, one in content.items():
        if _is_json(_base(media)):
            return one.get("schema", {}), media, False
    return (None, next(iter(content)), True) if content else (None, _JSON, False)


def is_upload(schema: dict[str, Any]) -> bool:
    """Whether a schema is that of a file in a form."""
    return "contentMediaType" in schema and "contentEncoding" not in schema


def snake(text: str) -> str:
    """A name in code: `If-Match` and `ifMatch` become `if_match`."""
    parts = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    name = re.sub(r"\W+", "_", parts).strip("_").lower() or "value"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name
