"""The configuration that runs, kept beside the file that people edit."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

from chapiteau.core.fields import read
from chapiteau.plumbing.files import write_atomic
from chapiteau.run.logic.spec import Spec

__all__ = ["running_spec", "save_running_spec"]


def save_running_spec(run_dir: Path, spec: Spec) -> None:
    """Keep what runs now, so that a later brain does not follow a file that is being edited."""
    data = json.dumps(dataclasses.asdict(spec)).encode()
    with contextlib.suppress(OSError):
        write_atomic(run_dir / "applied.json", data, mode=0o600)


def running_spec(run_dir: Path) -> Spec | None:
    """What the brain before ran; None when that can't be read."""
    try:
        raw = json.loads((run_dir / "applied.json").read_text())
    except (OSError, ValueError):
        return None
    spec, problems = read(Spec, _without_none(raw))
    return spec if not problems else None


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return value
