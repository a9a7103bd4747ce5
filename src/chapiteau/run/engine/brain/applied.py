"""The configuration that runs, kept beside the file that people edit."""

import contextlib
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from chapiteau.core.fields import read
from chapiteau.plumbing.files import write_atomic
from chapiteau.run.logic.spec import Spec

__all__ = ["running_spec", "save_running_spec"]


def save_running_spec(run_dir: Path, spec: Spec) -> None:
    """Keep what runs now, so that a later brain does not follow a file that is being edited."""
    data = json.dumps(_plain(spec), separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        write_atomic(run_dir / "applied.json", data, mode=0o600)


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries of what differs from their defaults: a tenth of the whole."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = type(value)
        standard = {f.name: _standard(plain, f.name) for f in dataclasses.fields(value)}
        pairs = ((name, getattr(value, name), std) for name, std in standard.items())
        return {name: _plain(own) for name, own, std in pairs if own is not None and own != std}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


@functools.lru_cache(maxsize=1024)
def _standard(cls: Any, name: str) -> Any:
    made, problems = read(cls, {})
    return None if problems else getattr(made, name)


def running_spec(run_dir: Path) -> Spec | None:
    """What the brain before ran; None when that can't be read."""
    try:
        raw = json.loads((run_dir / "applied.json").read_text())
    except (OSError, ValueError):
        return None
    spec, problems = read(Spec, raw)
    return spec if not problems else None
