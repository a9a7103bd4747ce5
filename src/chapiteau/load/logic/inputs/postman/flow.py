"""Sessions over a collection: its requests in order, variables carried from answer to request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chapiteau.load.logic.inputs.openapi.bodies import encode_multipart
from chapiteau.load.logic.inputs.openapi.parameters import plain
from chapiteau.load.logic.inputs.postman.scripts import Script, value_at
from chapiteau.load.logic.inputs.postman.variables import Template
from chapiteau.load.logic.inputs.quoting import form_encode
from chapiteau.load.logic.inputs.recorded import kept_headers
from chapiteau.load.logic.template import Request, Seen

if TYPE_CHECKING:
    import random

__all__ = ["PostmanFlow", "Step", "Text"]

_VALUES: Final = "postman variables"  # key in Seen.values

# A name and a value, both with variables.
Pair = tuple[Template, Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A request's body with its variables."""

    kind: str = ""  # raw form multipart
    text: Template
    pairs: tuple[Pair, ...] = ()
    media: str = ""
    kinds: tuple[str, ...] = ()  # content type of each pair's part, where it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of the collection."""

    name: str
    folder: str
    method: str
    url: Template
    headers: tuple[Pair, ...]
    body: Text
    script: Script


class PostmanFlow:
    """The whole collection, once a session."""

    def __init__(self, name: str, steps: tuple[Step, ...], variables: Mapping[str, str]) -> None:
        self._name = name
        self._steps = steps
        self._variables = dict(variables)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._name

    def outline(self) -> list[str]:
        """The requests in their order, with what they keep for later ones."""
        lines = []
        for step in self._steps:
            kept = ", ".join(k.variable for k in step.script.kept)
            lines.append(f"{step.method} {step.name}" + (f"  (keeps {kept})" if kept else ""))
        return lines

    def next(self, chance: "random.Random", seen: Seen) -> Request | None:
        """The request after those that were answered."""
        values: dict[str, str] = seen.values.setdefault(_VALUES, dict(self._variables))
        if seen.steps and seen.last is not None:
            for kept in self._steps[seen.steps - 1].script.kept:
                value = value_at(seen.last.json, kept.steps)
                if value is not None:
                    values[kept.variable] = plain(value)
        if seen.steps >= len(self._steps):
            return None
        return _written(self._steps[seen.steps], values, chance)


def _written(step: Step, values: Mapping[str, str], chance: "random.Random") -> Request:
    def filled(pairs: tuple[Pair, ...]) -> list[tuple[str, str]]:
        return [(name.fill(values, chance), value.fill(values, chance)) for name, value in pairs]

    headers = filled(step.headers)
    media, body = "", b""
    if step.body.kind == "raw":
        body = step.body.text.fill(values, chance).encode("utf-8", "replace")
        media = step.body.media
    elif step.body.kind == "form":
        body = form_encode(filled(step.body.pairs)).encode()
        media = "application/x-www-form-urlencoded"
    elif step.body.kind == "multipart":
        filled_in = zip(filled(step.body.pairs), step.body.kinds, strict=True)
        parts = [(name, "", kind, value.encode()) for (name, value), kind in filled_in]
        media, body = encode_multipart(parts, f"chapiteau-{chance.getrandbits(64):016x}")
    if media and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", media))
    return Request(
        method=step.method,
        url=step.url.fill(values, chance).replace(" ", "%20"),
        headers=kept_headers(headers),
        body=body,
        name=step.name,
        expect=step.script.statuses,
        tags=(step.folder,) if step.folder else (),
        remember=bool(step.script.kept),
    )
