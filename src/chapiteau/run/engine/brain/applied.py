"""The configuration that runs, kept beside the file that people edit."""

import contextlib
import json
from pathlib import Path

from chapiteau.core.fields import read
from chapiteau.plumbing.files import write_atomic
from chapiteau.run.logic.overrides import Overrides
from chapiteau.run.logic.spec import Spec
from chapiteau.run.logic.written.plain import plain_of

__all__ = ["running_spec", "save_running_spec"]

_SET = "set"  # beside the sections: what was changed at run time


def save_running_spec(run_dir: Path, spec: Spec, overrides: Overrides | None = None) -> None:
    """Keep what runs now, so that a later brain does not follow a file that is being edited."""
    plain = plain_of(spec) | ({_SET: overrides} if overrides else {})
    data = json.dumps(plain, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        write_atomic(run_dir / "applied.json", data, mode=0o600)


def running_spec(run_dir: Path) -> tuple[Spec, dict[str, dict[str, object]]] | None:
    """What the brain before ran, as the file had it, and what was set at run time on top; None
    when that can't be read."""
    try:
        raw = json.loads((run_dir / "applied.json").read_text())
        overrides = {name: dict(own) for name, own in raw.pop(_SET, {}).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    spec, problems = read(Spec, raw)
    return (spec, overrides) if spec is not None and not problems else None
