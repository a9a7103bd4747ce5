"""JSON Schema of chapiteau.toml, for editors."""

import dataclasses
import functools
from typing import Any

from chapiteau.core.fields import json_schema, read
from chapiteau.run.config.spec import Spec

__all__ = ["config_schema", "plain_values"]


def config_schema() -> dict[str, Any]:
    """The whole file (draft 2020-12); sections of the other wings are left open."""
    schema = json_schema(Spec)
    for section in ("dash", "hub", "deploy", "load"):
        schema["properties"][section] = {"type": "object"}
    schema["properties"]["include"] = {"type": "array", "items": {"type": "string"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chapiteau.toml",
        **schema,
    }


# A configuration that was read, as the plain values that give it again.


def plain_values(value: Any) -> Any:
    """Dataclasses as dictionaries of what differs from their defaults: a tenth of the whole."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = type(value)
        standard = {f.name: _standard(plain, f.name) for f in dataclasses.fields(value)}
        pairs = ((name, getattr(value, name), std) for name, std in standard.items())
        return {
            name: plain_values(own) for name, own, std in pairs if own is not None and own != std
        }
    if isinstance(value, dict):
        return {k: plain_values(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


@functools.lru_cache(maxsize=1024)
def _standard(cls: Any, name: str) -> Any:
    made, problems = read(cls, {})
    return None if problems else getattr(made, name)
