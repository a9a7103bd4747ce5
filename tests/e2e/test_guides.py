"""The guides that stand alone do, word for word, what they say."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.reader import follow
from tests.support import free_port, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGES = {
    "deploy-new-code": 13,
    "django-fastapi-flask": 13,
    "environment-and-secrets": 4,
    "migrate-from-gunicorn": 7,
    "load-like-k6": 8,
    "scheduled-jobs": 5,
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder, where nothing is left running."""
    try:
        yield tmp_path
    finally:
        if (tmp_path / "chapiteau.toml").exists():
            run_cli("down", cwd=tmp_path)


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis of its own."""
    if not (program := shutil.which("redis-server")):
        pytest.skip("redis-server is not installed (Debian's package redis-server has it)")
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL
    ) as server:
        wait_for(lambda: listens(port))
        yield port
        server.terminate()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_the_guide_about_workers_is_followed(project: Path, redis: int) -> None:
    assert follow("how-to/background-workers.md", project, {"6379": redis}) == 12


@pytest.mark.parametrize("page", PAGES)
def test_a_guide_is_followed(page: str, project: Path) -> None:
    assert follow(f"how-to/{page}.md", project) == PAGES[page]
