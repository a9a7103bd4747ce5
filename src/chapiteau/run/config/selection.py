"""Which services a person means: names, globs, several with commas, or all."""

import re
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache

from chapiteau.core.errors import NotFoundError
from chapiteau.core.problems import did_you_mean

__all__ = ["select", "with_needs"]


def select(wanted: str, names: Sequence[str], own: Container[str] = ()) -> list[str]:
    """The names that are meant, in the order of `names`. Raises NotFoundError for a part that
    matches nothing.

    `own` are those of Chapiteau itself, like plugins: meant only when their whole name is said.
    """
    chosen: set[str] = set()
    parts = [part for piece in wanted.split(",") if (part := piece.strip())]
    if wanted and not parts:
        raise NotFoundError(f"no service {wanted!r}")
    for part in parts:
        matches = [
            name
            for name in names
            if name == part
            or (name not in own and (part == "all" or _pattern(part).fullmatch(name)))
        ]
        if not matches and part not in {"all", "*"}:
            raise NotFoundError(f"no service {part!r}", hint=did_you_mean(part, names))
        chosen.update(matches)
    return [name for name in names if name in chosen]


def with_needs(wanted: Iterable[str], needs: dict[str, tuple[str, ...]]) -> set[str]:
    """These and everything that they need, directly or not."""
    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs.get(name, ())
    return found


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    pieces = {"*": ".*", "?": "."}
    return re.compile("".join(pieces.get(c) or re.escape(c) for c in glob))
