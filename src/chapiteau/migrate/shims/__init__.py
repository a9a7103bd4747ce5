"""Modules that stand in for other load testers and their clients while a scenario file runs.

They are in sys.modules only while such a file is imported.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

__all__ = ["install_shims", "shim_module"]


def shim_module(name: str, contents: Mapping[str, Any]) -> ModuleType:
    """A module of this name with these things in it."""
    made = ModuleType(name, f"Chapiteau's stand-in for {name}.")
    made.__dict__.update(contents)
    made.__path__ = []  # so that `import name.part` is looked up in sys.modules
    return made


@contextlib.contextmanager
def install_shims(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Put the modules into sys.modules; afterwards everything is as it was.

    What the scenario file imported meanwhile goes too: it may hold on to them.
    """
    before = dict(sys.modules)
    for name in [n for n in sys.modules if n.partition(".")[0] in modules]:
        del sys.modules[name]  # the real one, its parts too
    sys.modules.update(modules)
    for name, one in modules.items():
        parent, _, child = name.rpartition(".")
        if parent in modules:
            setattr(modules[parent], child, one)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        for name, one in before.items():
            if name.partition(".")[0] in modules:
                sys.modules[name] = one
