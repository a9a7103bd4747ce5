"""Real supervisors for the tests of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.run.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[[str], Project]]:
    """`project(toml)` writes a configuration; whatever was started is ended and looked after."""
    made: list[Project] = []

    def make(toml: str) -> Project:
        made.append(Project(tmp_path, toml))
        return made[-1]

    yield make
    for one in made:
        one.down()
