"""Applications and requests that are tried against both."""

import importlib
import pkgutil

__all__ = ["load"]


def load() -> None:
    """Import every module of cases."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
