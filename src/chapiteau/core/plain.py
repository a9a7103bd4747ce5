"""Dataclasses from and to JSON-ready values, without a library: what is imported at every start."""

import functools
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar, Self, cast

__all__ = ["Plain"]

Make = Callable[[Any], Any]


class Plain:
    """A base of dataclasses that travel as JSON. With `omit_empty`, optional fields that are empty
    are left out."""

    __slots__ = ()
    omit_empty: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        kept, kind = {}, cast("Any", type(self))
        required = _required(kind) if self.omit_empty else ()
        for name in _makers(kind):
            value = _plain(getattr(self, name))
            if value or not self.omit_empty or name in required:
                kept[name] = value
        return kept

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse; keys that it does not know (of a newer program) are left out.

        Raises TypeError when a required one is missing.
        """
        makers = _makers(cast("Any", cls))
        known = {name: value for name, value in raw.items() if name in makers}
        return cls(**{n: make(v) if (make := makers[n]) else v for n, v in known.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.to_dict()
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


@functools.cache
def _required(cls: Any) -> frozenset[str]:
    return frozenset(
        f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING
    )


@functools.cache
def _makers(cls: Any) -> dict[str, Make | None]:
    """Each field and what makes its value of JSON; None: it is one already."""
    hints = typing.get_type_hints(cls)
    return {field.name: _maker(hints[field.name]) for field in fields(cls)}


def _maker(hint: Any) -> Make | None:
    if is_dataclass(hint):
        make: Make = cast("type[Plain]", hint).from_dict
        return make
    if typing.get_origin(hint) is tuple:
        inner = _maker(typing.get_args(hint)[0])
        return (lambda values: tuple(map(inner, values))) if inner else tuple
    return None
