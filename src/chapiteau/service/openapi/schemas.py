"""Every schema that a document needs, from whichever library a type comes."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from chapiteau.service.declare.pydantic_types import Mode, is_pydantic, model_schemas
from chapiteau.service.declare.signature import Upload
from chapiteau.service.declare.text_formats import add_text_formats
from chapiteau.service.openapi import Json

__all__ = ["BINARY", "REF", "Schemas", "body_schema", "forbid_control_characters", "without_null"]

REF: Final = "#/components/schemas/{name}"
# Bytes as they are; some generators of clients refuse a body without a schema.
BINARY: Final = {"type": "string", "format": "binary"}
Key = tuple[Any, ...]


class Schemas:
    """Schemas by key, and the components that they refer to."""

    def __init__(self, kinds: Iterable[tuple[Key, Any, Mode]]) -> None:
        wanted = list(kinds)
        plain = [(key, kind) for key, kind, _ in wanted if not is_pydantic(kind)]
        made, self.components = msgspec.json.schema_components(
            [kind for _, kind in plain], schema_hook=_schema_of, ref_template=REF
        )
        self._by_key = {key: schema for (key, _), schema in zip(plain, made, strict=True)}
        # What is sent comes first: a component that both ways share allows all that is read.
        told: set[str] = set()
        for way in ("validation", "serialization"):
            for key, kind, mode in wanted:
                if mode == way and key in self._by_key:
                    sent = key[3:] == ("body",)
                    add_text_formats(kind, self._by_key[key], self.components, told, sent=sent)
        models, shared = model_schemas([one for one in wanted if is_pydantic(one[1])], REF)
        # Two libraries may have a type of the same name: the model's gets a longer one.
        names = {name: name + "Model" for name in shared if name in self.components}
        self.components |= {
            names.get(name, name): _renamed(schema, names) for name, schema in shared.items()
        }
        self._by_key |= {key: _renamed(schema, names) for key, schema in models.items()}

    def __getitem__(self, key: Key) -> Json:
        """A copy that may be changed."""
        return dict(self._by_key[key])


def _schema_of(kind: Any) -> Json:
    """Schemas of types that msgspec doesn't know. Raises NotImplementedError for all but ours."""
    if kind is Upload:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    raise NotImplementedError


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _renamed(item, names) for key, item in value.items()}
    head, _, name = str(made.get("$ref", "")).rpartition("/")
    return {**made, "$ref": f"{head}/{names[name]}"} if name in names else made


def without_null(schema: Json) -> Json:
    """A parameter that is not there is left out; no text on the wire means null."""
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if not parts:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**parts[0], **rest} if len(parts) == 1 else {**rest, "anyOf": parts}


def forbid_control_characters(schema: Json) -> None:
    """Say of a text in a path that it has no control characters, and is not empty."""
    if not schema.keys() & {"pattern", "format", "enum", "const"}:
        schema["pattern"] = r"^[^\u0000-\u001f\u007f-\u009f]+$"


def body_schema(schema: Json, media: str) -> Json:
    """The schema of a body in a media type; tables and lines are text, whatever they hold."""
    if media.partition(";")[0] in ("text/csv", "application/x-ndjson"):
        words = "A head line, then one record per line." if "csv" in media else "A value per line."
        return {"type": "string", "description": words}
    return schema
