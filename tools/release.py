"""Make everything that goes to PyPI into dist/, and prove that it is what it says.

    python tools/release.py             build all, twice, and prove it
    python tools/release.py --prove     prove what lies in dist/

Made are the sdist, a pure wheel (py3-none-any) for every other machine and Python, and a wheel with
the compiled parts for each CPython and platform below; `zig cc` from PyPI compiles for all of them.

Proved is: built again, from the same commit, each file has the same bytes (SOURCE_DATE_EPOCH is
the commit's); twine reads the descriptions; the ELF symbols hold what the platform tags say
(auditwheel); each wheel for this machine, and the pure one, installs on each of our Pythons found
here from wheels alone, into an empty environment, and does what the README shows
(tools/release_use.py).
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "dist"
UV: Final = ROOT / ".tools" / "uv" / "bin" / "uv"
PYTHONS: Final = ("3.11", "3.12", "3.13")
PLATFORMS: Final = (
    "manylinux_2_28_x86_64",
    "manylinux_2_28_aarch64",
    "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64",
)
BUILT_FOR: Final = ("CHAPITEAU_PLATFORM", "CHAPITEAU_ENGINE", "CHAPITEAU_SKIP_UI")


def run(*command: str | Path, **env: str) -> str:
    """What the command prints. SystemExit with all of it when it fails."""
    inherited = {k: v for k, v in os.environ.items() if k not in (*BUILT_FOR, "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=inherited | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nrelease: status {done.returncode}: {' '.join(words)}")
    return done.stdout


def say(text: str) -> None:
    """Progress, at once, whoever reads."""
    print(f"release: {text}", flush=True)


def interpreters() -> Iterator[tuple[str, Path]]:
    """Our Pythons that are found here: on PATH, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        on_path = shutil.which(f"python{version}")
        others = sorted(pyenv.glob(f"{version}.*/bin/python"))
        for found in [*([Path(on_path)] if on_path else []), *others]:
            # The shims of version managers exist for Pythons that are not chosen, too.
            done = subprocess.run([found, "-V"], capture_output=True, text=True, check=False)
            if done.stdout.startswith(f"Python {version}."):
                yield version, found
                break
        else:
            say(f"Python {version} is not found here: its wheels are left out")


def commit() -> tuple[str, str]:
    """Hash and time of the commit that is checked out. SystemExit when something was changed."""
    if run("git", "status", "--porcelain"):
        raise SystemExit("release: commit what you have changed first: the bytes are a commit's")
    name, time = run("git", "log", "-1", "--format=%H %ct").split()
    return name, time


def build(folder: Path, epoch: str) -> None:
    """sdist and wheels into the folder; the wheels from the sdist, as everybody else would."""
    make = (UV, "build", "-q", "--out-dir", folder)
    run(*make, "--sdist", SOURCE_DATE_EPOCH=epoch)
    (source,) = folder.glob("*.tar.gz")
    run(*make, "--wheel", source, SOURCE_DATE_EPOCH=epoch, CHAPITEAU_ENGINE="skip")
    for version, python in interpreters():
        for target in PLATFORMS:
            say(f"building for Python {version}, {target}")
            at = {"SOURCE_DATE_EPOCH": epoch, "CHAPITEAU_PLATFORM": target}
            run(*make, "--wheel", source, "--python", python, **at)


def compare(first: Path, second: Path) -> None:
    """SystemExit unless both folders hold the same files with the same bytes."""
    names = sorted(p.name for p in first.iterdir())
    if names != sorted(p.name for p in second.iterdir()):
        raise SystemExit("release: built twice, and got other files the second time")
    for name in names:
        if (first / name).read_bytes() != (second / name).read_bytes():
            raise SystemExit(f"release: built twice, and {name} differs")
    say(f"{len(names)} files, built twice: the same bytes")


def fits(wheel: Path, version: str) -> bool:
    """Whether pip would choose it, or take it, on this machine with this Python."""
    libc = "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else "many"
    *_, python, _, target = wheel.stem.split("-")
    if target == "any":
        return True
    ours = target.startswith(libc) and target.endswith(platform.machine())
    return ours and python == f"cp{version.replace('.', '')}"


def prove() -> None:
    """SystemExit at the first thing in dist/ that is not as it says."""
    wheels = sorted(DIST.glob("*.whl"))
    if not wheels:
        raise SystemExit(f"release: no wheels in {DIST}; without --prove they are made")
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels, *DIST.glob("*.tar.gz"))
    say("twine check --strict: clean")
    for wheel in wheels:
        tag = wheel.stem.rsplit("-", 1)[1]
        if tag == "any":
            continue
        shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
        if f'"{tag}"' not in shown:
            raise SystemExit(f"release: {wheel.name} does not hold its tag\n{shown}")
    say("auditwheel: the platform tags hold")
    for version, python in interpreters():
        for wheel in (w for w in wheels if fits(w, version)):
            with tempfile.TemporaryDirectory() as folder:
                run(UV, "venv", "-q", "--python", python, folder)
                installed = Path(folder) / "bin" / "python"
                only = ("--only-binary", ":all:")
                run(UV, "pip", "install", "-q", "--python", installed, *only, wheel)
                compiled = "no" if wheel.stem.endswith("-any") else "yes"
                use = (ROOT / "tools" / "release_use.py", "--compiled", compiled)
                say(f"{wheel.name}: {run(installed, '-I', *use).strip()}")


def main() -> None:
    """Build into dist/ and prove it."""
    parser = argparse.ArgumentParser(description="Make what goes to PyPI, and prove it.")
    parser.add_argument("--prove", action="store_true", help="only prove what lies in dist/")
    if not parser.parse_args().prove:
        before = commit()
        shutil.rmtree(DIST, ignore_errors=True)
        build(DIST, before[1])
        with tempfile.TemporaryDirectory() as again:
            build(Path(again), before[1])
            if commit() != before:
                raise SystemExit("release: another commit was checked out meanwhile")
            compare(DIST, Path(again))
    prove()
    say(f"dist/ holds {len(list(DIST.iterdir()))} files; tag the commit, and publish them")


if __name__ == "__main__":
    main()
