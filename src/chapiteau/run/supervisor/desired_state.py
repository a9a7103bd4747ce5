"""What people want of each service, kept where brains and reboots can't lose it.

The keeper holds a note per service, which the next brain reads; a file holds the same for the day
when the keeper dies too. A clean shutdown removes the file: the next start follows the
configuration.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from chapiteau.io.files import write_atomic
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.replica import Pause
from chapiteau.run.supervisor.service_controller import Wish

__all__ = ["APPLYING", "DesiredState"]

_SCHEMA: Final = 1
_SETTLE: Final = 0.2  # seconds: many changes at once are written once
_NOTE: Final = "wanted/"
APPLYING: Final = "applying"  # a note: the settings being changed, {} while a file is followed


class DesiredState:
    """`put` remembers; `found` is what was remembered before this brain."""

    def __init__(self, path: Path, link: KeeperLink) -> None:
        self._path, self._link = path, link
        self._timer: asyncio.TimerHandle | None = None
        notes = {k.removeprefix(_NOTE): v for k, v in link.notes.items() if k.startswith(_NOTE)}
        self.found: dict[str, Wish] = {k: _wish(v) for k, v in (notes or self._read()).items()}
        self._now = dict(self.found)

    def _read(self) -> dict[str, dict[str, Any]]:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            state = json.loads(self._path.read_text())
            if state["schema"] == _SCHEMA:
                return {str(k): _afresh(v) for k, v in state["services"].items()}
        return {}

    def put(self, service: str, wish: Wish | None) -> None:
        """Remember what is wanted of a service; None forgets it."""
        if self._now.get(service) == wish:
            return
        if wish is None:
            self._now.pop(service, None)
        else:
            self._now[service] = wish
        self._link.note(f"{_NOTE}{service}", None if wish is None else asdict(wish))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE, self._write)

    def _write(self) -> None:
        self._timer = None
        services = {name: asdict(wish) for name, wish in self._now.items()}
        text = json.dumps({"schema": _SCHEMA, "services": services})
        # A full disk costs the memory of a reboot, not the service: the notes are still there.
        with contextlib.suppress(OSError):
            write_atomic(self._path, text.encode(), mode=0o600)

    def clear(self) -> None:
        """A clean end: nothing is left to remember."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _wish(raw: Mapping[str, Any]) -> Wish:
    return Wish(
        on=bool(raw.get("on")),
        wanted=int(raw.get("wanted", 1)),
        generation=int(raw.get("generation", 0)),
        refused=str(raw.get("refused", "")),
        reload_to=int(raw.get("reload_to", 0)),
        paused={str(k): Pause(**v) for k, v in raw.get("paused", {}).items()},
    )


def _afresh(raw: Mapping[str, Any]) -> dict[str, Any]:
    """After a reboot everything that should run is tried again, whatever had come of it."""
    nothing = {"refused": "", "paused": {}, "reload_to": 0}
    return {**raw, "on": raw["on"] or bool(raw.get("refused")), **nothing}
