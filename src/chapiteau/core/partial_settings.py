"""A table of settings of which some could not be read: rules may still look at the others.

A rule that asks for a setting that nobody knows can't judge; it ends there, and says nothing
about what would only follow from the first mistake.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from chapiteau.core.fields import Path, read, read_valid
from chapiteau.core.problems import Problem, nearest

__all__ = ["UnknownSettingError", "is_known", "read_partial", "until_unknown"]

T = TypeVar("T")


class UnknownSettingError(Exception):
    """This setting could not be read; what follows from it can't be said. Never shown."""


class _Partly:
    """Looks like the dataclass; asking for what is not known raises UnknownSettingError."""

    __slots__ = ("_cls", "_values")

    def __init__(self, cls: type[Any], values: Mapping[str, Any]) -> None:
        self._cls, self._values = cls, values

    def __getattr__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        own = getattr(self._cls, name, None)
        if isinstance(own, property) and own.fget is not None:
            return own.fget(self)
        raise UnknownSettingError(name)


def read_partial(
    cls: type[T], raw: object, path: Path = (), lost: Iterable[str] = ()
) -> tuple[T | None, list[tuple[Path, Problem]]]:
    """As `read`, but with problems it gives what can be known all the same; None when `raw` is no
    table. `lost` are settings that stand there and could not even be parsed.
    """
    value, found = read(cls, raw, path)
    unknown = set(lost)
    if not isinstance(raw, Mapping) or (value is not None and not unknown):
        return value, found
    depth = len(path)
    found = [(place, p) for place, p in found if place[depth : depth + 1] not in _each(unknown)]
    values = read_valid(cls, raw)
    # A name that is written wrong is probably meant for the nearest one.
    unknown |= {nearest(str(place[-1]), values) for place, _ in found if len(place) == depth + 1}
    known = {name: one for name, one in values.items() if name not in unknown}
    return cast("T", _Partly(cls, known)), found


def _each(names: Iterable[str]) -> set[Path]:
    return {(name,) for name in names}


def until_unknown(found: Iterable[T]) -> Iterator[T]:
    """What a rule says until it asks for what is not known."""
    try:
        yield from found
    except UnknownSettingError:
        return


def is_known(value: object, *names: str) -> bool:
    """Whether all of these settings are known."""
    try:
        for name in names:
            getattr(value, name)
    except UnknownSettingError:
        return False
    return True
