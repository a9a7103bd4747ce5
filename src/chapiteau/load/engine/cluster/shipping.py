"""The files of a scenario, packed with the plan and laid out where the load comes from.

The folder of a scenario file goes along whole: its modules, its data. So does what the settings
name: certificates and keys. The same for ssh, Dask and Ray: none of them needs the files first.
"""

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import UsageError

__all__ = ["packed", "unpacked"]

_MOST: Final = 20 << 20  # bytes of all files
_LEFT: Final = frozenset(
    (".chapiteau", ".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache")
)
_FILES: Final = ("ca_file", "client_certificate", "client_key")


def packed(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with the files it needs. Raises UsageError when they are too many."""
    made = {**plan, "source": dict(plan["source"]), "wiring": dict(plan.get("wiring", {}))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if plan["source"]["kind"] == "file":
            scenario = Path(plan["source"]["path"])
            total = 0
            for path in _below(scenario.parent):
                total += path.stat().st_size
                if total > _MOST:
                    raise UsageError(
                        f"the folder of {scenario} has more than {_MOST >> 20} MiB of files, and "
                        "all of it goes to every machine",
                        hint="give the scenario a folder of its own",
                    )
                archive.write(path, f"scenario/{path.relative_to(scenario.parent)}")
            made["source"]["path"] = f"scenario/{scenario.name}"
        for key in _FILES:
            if name := made["wiring"].get(key):
                archive.write(name, f"wiring/{key}")
                made["wiring"][key] = f"wiring/{key}"
    made["files"] = base64.b64encode(buffer.getvalue()).decode()
    return made


def unpacked(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The plan with its files laid out below `folder`, which only we may read."""
    made = {**plan, "source": dict(plan["source"]), "wiring": dict(plan["wiring"])}
    data = base64.b64decode(made.pop("files"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    if made["source"]["kind"] == "file":
        made["source"]["path"] = str(folder / made["source"]["path"])
    for key in _FILES:
        if name := made["wiring"].get(key):
            made["wiring"][key] = str(folder / name)
    return made


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT or path.is_symlink():
            continue
        if path.is_dir():
            yield from _below(path)
        elif path.is_file():
            yield path
