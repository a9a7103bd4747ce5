"""A compiled module is known by its source's digest."""

import hashlib
import importlib
import sysconfig
from pathlib import Path

import pytest

from chapiteau.io.compiled import build_state

SOURCE = b"# what was compiled"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own name for each test, with the source of a compiled module."""
    folder = tmp_path / f"built_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_twin.pyx").write_bytes(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def build(package: Path) -> None:
    built = package / f"_twin{sysconfig.get_config_var('EXT_SUFFIX')}"
    built.write_bytes(b"\x7fELF\0" + hashlib.sha256(SOURCE).hexdigest().encode() + b"\0")
    importlib.invalidate_caches()


def test_a_module_that_was_not_built_is_missing(package: Path) -> None:
    assert build_state(f"{package.name}._twin") == "missing"


def test_a_module_built_from_the_source_beside_it_is_current(package: Path) -> None:
    build(package)
    assert build_state(f"{package.name}._twin") == "current"


def test_a_module_is_stale_once_its_source_has_changed(package: Path) -> None:
    build(package)
    (package / "_twin.pyx").write_bytes(SOURCE + b", and a line more")
    assert build_state(f"{package.name}._twin") == "stale"


def test_a_module_without_its_source_is_taken_as_it_is(package: Path) -> None:
    build(package)
    (package / "_twin.pyx").unlink()
    assert build_state(f"{package.name}._twin") == "current"
