"""What people want of each service, kept where brains and reboots can't lose it.

The keeper holds a note per service, which the next brain reads; a file holds the same for a day
when the keeper dies too. A clean shutdown removes the file: the next start follows the
configuration.
"""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from chapiteau.core.fields import read
from chapiteau.io.files import write_atomic
from chapiteau.run.config.overrides import Overrides
from chapiteau.run.config.schema import plain_values
from chapiteau.run.config.spec import Spec
from chapiteau.run.process.keeper_link import KeeperLink

__all__ = ["DesiredState", "running_spec", "save_running_spec"]

_SCHEMA = 1
_CALM = 0.2  # seconds: many changes at once are written once


class DesiredState:
    """`put` remembers; `found` is what was remembered before us."""

    def __init__(self, path: Path, link: KeeperLink, notes: dict[str, Any]) -> None:
        self._path, self._link = path, link
        self._now: dict[str, dict[str, Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        noted = {k.removeprefix("wanted/"): v for k, v in notes.items() if k.startswith("wanted/")}
        self.found: dict[str, dict[str, Any]] = noted or self._read()
        self._now.update(self.found)

    def _read(self) -> dict[str, dict[str, Any]]:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            state = json.loads(self._path.read_text())
            if state["schema"] == _SCHEMA:
                return {str(k): dict(v) for k, v in state["services"].items()}
        return {}

    def put(self, service: str, facts: dict[str, Any] | None) -> None:
        """Remember what is wanted of a service; None forgets it."""
        if self._now.get(service) == facts:
            return
        if facts is None:
            self._now.pop(service, None)
        else:
            self._now[service] = facts
        self._link.tell("note", name=f"wanted/{service}", value=facts)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CALM, self._write)

    def _write(self) -> None:
        self._timer = None
        text = json.dumps({"schema": _SCHEMA, "services": self._now})
        # A full disk costs the memory of a reboot, not the service: the notes are still there.
        with contextlib.suppress(OSError):
            write_atomic(self._path, text.encode(), mode=0o600)

    def clear(self) -> None:
        """A clean end: nothing is left to remember."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()


# The configuration that runs, kept beside the file that people edit.

_SET = "set"  # beside the sections: what was changed at run time


def save_running_spec(run_dir: Path, spec: Spec, overrides: Overrides | None = None) -> None:
    """Keep what runs now, so that a later brain does not follow a file that is being edited."""
    plain = plain_values(spec) | ({_SET: overrides} if overrides else {})
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
