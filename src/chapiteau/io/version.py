"""Which Chapiteau this is."""

import functools

__all__ = ["own_version"]


@functools.cache
def own_version() -> str:
    """As the installed package says; looked up once, for that reads files."""
    from importlib.metadata import version

    return version("chapiteau")
