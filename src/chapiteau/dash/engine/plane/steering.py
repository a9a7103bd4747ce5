"""Files in which a node keeps what hubs have said."""

from pathlib import Path
from typing import Final

__all__ = ["COMMANDS", "WANTED", "forget"]

WANTED: Final = "wanted.json"
COMMANDS: Final = "commands.sqlite3"


def forget(folder: Path) -> None:
    """What one hub has wanted and ordered means nothing under another one."""
    for name in (WANTED, COMMANDS, f"{COMMANDS}-wal", f"{COMMANDS}-shm"):
        (folder / name).unlink(missing_ok=True)
