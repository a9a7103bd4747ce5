"""Why a schema can't be described."""

__all__ = ["ConversionError", "NoSuchConverter"]


class ConversionError(Exception):
    """A schema that can't be described."""


class NoSuchConverter(ConversionError):  # noqa: N818 — the name that applications catch
    """A type that nobody has a converter for."""
