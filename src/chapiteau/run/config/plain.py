"""A configuration that was read, as the plain values that give it again."""

import dataclasses
import functools
from typing import Any

from chapiteau.core.fields import read

__all__ = ["plain_of"]


def plain_of(value: Any) -> Any:
    """Dataclasses as dictionaries of what differs from their defaults: a tenth of the whole."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = type(value)
        standard = {f.name: _standard(plain, f.name) for f in dataclasses.fields(value)}
        pairs = ((name, getattr(value, name), std) for name, std in standard.items())
        return {name: plain_of(own) for name, own, std in pairs if own is not None and own != std}
    if isinstance(value, dict):
        return {k: plain_of(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


@functools.lru_cache(maxsize=1024)
def _standard(cls: Any, name: str) -> Any:
    made, problems = read(cls, {})
    return None if problems else getattr(made, name)
