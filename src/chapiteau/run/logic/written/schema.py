"""JSON Schema of chapiteau.toml, for editors."""

from typing import Any

from chapiteau.core.fields import json_schema
from chapiteau.run.config.spec import Spec

__all__ = ["config_schema"]


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
