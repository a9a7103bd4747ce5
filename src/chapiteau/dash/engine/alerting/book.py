"""Open problems and who was told: a hub that is started anew tells nothing twice."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from chapiteau.dash.engine.store import open_database
from chapiteau.dash.logic.alerting.watchman import Open
from chapiteau.dash.logic.lines import Cure
from chapiteau.dash.logic.trouble import Trouble

__all__ = ["Book"]

_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS problem (key TEXT PRIMARY KEY, kept TEXT) STRICT"


class Book:
    """A table in the hub's file."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)
        self._kept: dict[str, str] = dict(self._db.execute("SELECT key, kept FROM problem"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def read(self) -> list[Open]:
        """What was open when the last hub ended."""
        return [_open(json.loads(kept)) for kept in self._kept.values()]

    def write(self, problems: list[Open]) -> None:
        """Keep these and no others; only what has changed is written."""
        now = {one.trouble.key: json.dumps(asdict(one)) for one in problems if one.told}
        if now == self._kept:
            return
        self._db.execute("BEGIN IMMEDIATE")
        for key in self._kept.keys() - now.keys():
            self._db.execute("DELETE FROM problem WHERE key = ?", (key,))
        for key, kept in now.items():
            if self._kept.get(key) != kept:
                self._db.execute("INSERT OR REPLACE INTO problem VALUES (?, ?)", (key, kept))
        self._db.execute("COMMIT")
        self._kept = now


def _open(raw: dict[str, Any]) -> Open:
    trouble = raw["trouble"]
    cures = tuple(Cure(**cure) for cure in trouble["cures"])
    lines = tuple(trouble["lines"])
    told = {name: (float(when), int(count)) for name, (when, count) in raw["told"].items()}
    return Open(
        trouble=Trouble(**{**trouble, "cures": cures, "lines": lines}),
        since=raw["since"],
        gone=raw["gone"],
        told=told,
    )
