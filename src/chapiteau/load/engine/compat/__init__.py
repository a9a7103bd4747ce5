"""Scenario files of Molotov, Loads and Locust, and generators in any language.

Stand-ins for the other testers' modules are in sys.modules only while such a file is imported.
"""

from pathlib import Path
from typing import Any

from chapiteau.load.logic.inputs.foreign.kind import foreign_kind
from chapiteau.load.logic.scenario import Play

__all__ = ["play_of_foreign", "shape_of_foreign"]


def play_of_foreign(path: Path, options: dict[str, Any]) -> Play | None:
    """The play of another load tester's scenario file; None when the file is ours."""
    kind = foreign_kind(path.read_text(encoding="utf-8", errors="replace"))
    if kind == "molotov":
        from chapiteau.load.engine.compat.molotov import play_of_molotov

        return play_of_molotov(path, str(options.get("use_extension", "")).split())
    if kind == "loads":
        from chapiteau.load.engine.compat.loads import play_of_loads

        return play_of_loads(path)
    if kind == "locust":
        from chapiteau.load.engine.compat.locust import play_of_locust

        return play_of_locust(path)
    return None


def shape_of_foreign(path: Path) -> str | None:
    """Users over time that the file itself asks for, "" for none; None when the file is ours."""
    kind = foreign_kind(path.read_text(encoding="utf-8", errors="replace"))
    if kind == "locust":
        from chapiteau.load.engine.compat.locust import shape_of_locust

        return shape_of_locust(path)
    return "" if kind else None
