"""`request.errors`: what validators found wrong with a request."""

import json
from collections.abc import Iterable
from typing import Any, Final

from translationstring import TranslationString

__all__ = ["Errors"]

_PLACES: Final = frozenset(
    {"body", "querystring", "url", "header", "path", "cookies", "method", ""}
)


class Errors(list[dict[str, Any]]):
    """A list of problems; `status` is the status with which they are answered."""

    def __init__(self, status: int = 400, localizer: Any = None) -> None:
        super().__init__()
        self.status = status
        self.localizer = localizer

    def add(self, location: str, name: Any = None, description: Any = None, **kw: Any) -> None:
        """Note one problem. Raises ValueError when there is no such location."""
        if location not in _PLACES:
            raise ValueError(f"{location!r} is not a location: one of {sorted(_PLACES)}")
        if isinstance(description, TranslationString) and self.localizer is not None:
            description = self.localizer.translate(description)
        self.append({"location": location, "name": name, "description": description, **kw})

    @classmethod
    def from_json(cls, string: str | bytes) -> "Errors":
        """The errors in the body of an answer, with their status when it is told."""
        found = json.loads(string)
        return cls.from_list(found["errors"], found.get("status"))

    @classmethod
    def from_list(cls, obj: Iterable[dict[str, Any]], status: Any = None) -> "Errors":
        """Errors from plain dicts."""
        # The body of an error says status "error", which is no HTTP status.
        errors = cls(status=status if isinstance(status, int) else 400)
        for problem in obj:
            given = dict(problem)
            errors.add(given.pop("location", ""), **{"name": None, "description": None, **given})
        return errors
