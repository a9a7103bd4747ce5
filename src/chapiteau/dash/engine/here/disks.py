"""How much room the disks have that matter here."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["rooms"]


def rooms(places: Iterable[Path]) -> list[dict[str, Any]]:
    """{"path", "total", "free"} in bytes and {"inodes_free": share} of each file system, once.

    What can't be asked (a path that is gone) is left out.
    """
    found: dict[int, dict[str, Any]] = {}
    for place in places:
        try:
            device, room = place.stat().st_dev, os.statvfs(place)
        except OSError:
            continue
        found.setdefault(
            device,
            {
                "path": str(place),
                "total": room.f_blocks * room.f_frsize,
                "free": room.f_bavail * room.f_frsize,
                "inodes_free": room.f_favail / room.f_files if room.f_files else 1.0,
            },
        )
    return list(found.values())
