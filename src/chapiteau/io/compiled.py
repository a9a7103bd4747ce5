"""Whether an extension module was built from the source beside it."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final, Literal

__all__ = ["LOAD_ENGINE", "BuildState", "build_state"]

LOAD_ENGINE: Final = "chapiteau.load.engine._fastpath"

BuildState = Literal["missing", "stale", "current"]


def build_state(module: str) -> BuildState:
    """`stale` when it was built from another `.pyx` than the one beside it. The build
    (hatch_build.py) compiles the source's SHA-256 into the module. Imports the module's packages,
    not the module itself: a stale one may fail, or act by rules of then."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return "missing"
    built = Path(spec.origin)
    source = built.with_name(f"{module.rpartition('.')[2]}.pyx")
    try:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
    except FileNotFoundError:  # installed without sources: nothing it could differ from
        return "current"
    return "current" if digest.encode() in built.read_bytes() else "stale"
