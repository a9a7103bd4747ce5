"""The OpenAPI document: written, checked, compared."""

from typing import Any

__all__ = ["Json"]

Json = dict[str, Any]  # an object of a document, whichever
