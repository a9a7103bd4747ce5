"""The module `cornice_swagger.util`, for imports that name it."""

from typing import Any

from chapiteau.cornice.swagger.schemas import within
from chapiteau.cornice.validators import colander_body_validator
from chapiteau.service.openapi import Json

__all__ = ["body_schema_transformer"]


def body_schema_transformer(schema: Any, args: Json) -> Any:
    """A schema that the body validator reads, as a schema of the whole request."""
    return (
        within("body", schema) if colander_body_validator in args.get("validators", ()) else schema
    )
