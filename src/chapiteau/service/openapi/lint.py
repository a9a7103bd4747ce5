"""What is missing in a document: descriptions, described answers, ids that stay."""

from collections.abc import Iterator
from typing import Final

from chapiteau.core.problems import Problem
from chapiteau.service.openapi import Json
from chapiteau.service.openapi.normalise import normalise

__all__ = ["lint", "operations_of"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def operations_of(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Method (upper case), path and operation, in the document's order."""
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield method.upper(), path, operation


def lint(document: Json, older: Json | None = None) -> list[Problem]:
    """Problems, in the document's order; `older` is compared for ids that have changed."""
    found: list[Problem] = []
    before = {(m, p): o.get("operationId") for m, p, o in operations_of(older)} if older else {}
    seen: dict[str, str] = {}
    for method, path, operation in operations_of(normalise(document)):
        where = f"{method} {path}"
        found += _words(where, operation)
        found += _answers(where, operation)
        own = operation.get("operationId", "")
        if own in seen:
            found.append(Problem(where, f"has the id {own!r} of {seen[own]} too"))
        seen[own] = where
        old = before.get((method, path))
        if old and old != own:
            found.append(
                Problem(
                    where,
                    f"had the id {old!r}, now {own!r}",
                    f'generated clients break: say operation_id="{old}"',
                )
            )
    return found


def _words(where: str, operation: Json) -> Iterator[Problem]:
    if not operation.get("summary") and not operation.get("description"):
        yield Problem(where, "has no description", "write a docstring under its handler")
    for parameter in operation.get("parameters", ()):
        if not parameter.get("description") and parameter.get("in") != "path":
            yield Problem(
                where,
                f"parameter {parameter.get('name')!r} has no description",
                'say it in its type: Annotated[int, Meta(description="…")]',
            )


def _answers(where: str, operation: Json) -> Iterator[Problem]:
    answers = operation.get("responses", {})
    for status, answer in answers.items():
        if not answer.get("description"):
            yield Problem(where, f"answer {status} has no description")
        for media, content in answer.get("content", {}).items():
            if content.get("schema") == {} and "json" in media:
                yield Problem(
                    where,
                    f"answer {status} has no type",
                    "annotate what the handler returns: def handler() -> City",
                )
    if not any(status.startswith(("2", "3")) for status in answers):
        yield Problem(where, "has no good answer")
