"""Which services and kinds of events the globs of a setting mean."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

__all__ = ["fits"]


def fits(name: str, globs: Iterable[str]) -> bool:
    """Whether the name is one of these, or fits one of these globs."""
    return any(fnmatchcase(name, glob) for glob in globs)
