"""`chapiteau run daemon`: one process reads the file while the brain that it forked gets ready."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.client import Client
from chapiteau.run.config.load import known_spec, read_spec
from chapiteau.run.system.process_tree import children_of
from tests.run.supervisor.test_essential import CHAPITEAU
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chapiteau.run.api.status import SupervisorStatus

NAMES = st.sampled_from(["web", "a-b", "x1"])
PARTS = st.fixed_dictionaries(
    {"command": st.sampled_from(["true", "sleep 5"])},
    optional={
        "processes": st.integers(1, 3),
        "env": st.dictionaries(st.sampled_from(["A", "B"]), st.text("ab", max_size=3)),
        "log": st.fixed_dictionaries({}, optional={"max_size": st.sampled_from(["1MB", "2MB"])}),
        "ready": st.just({"alive": "1s"}),
    },
)


@given(st.dictionaries(NAMES, PARTS), st.sampled_from(["", "shop"]))
def test_what_was_read_once_is_the_same_without_looking_for_problems_again(
    services: dict[str, Any], name: str
) -> None:
    raw = {"service": services, "log": {"keep": 3}, **({"project": {"name": name}} if name else {})}
    spec, problems = read_spec(raw, name="folder")
    assert not problems
    assert known_spec(raw, name="folder") == spec


def test_what_was_never_found_good_is_no_spec() -> None:
    with pytest.raises(ValueError, match="not read before"):
        known_spec({"service": {"web": {"comand": "true"}}})


DATED = """[plugin.dated]
use = "chapiteau.run.plugins.statsd:StatsdEmitter"
options.since = 2026-11-25
"""


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a test puts here is ended after it."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for one in made:
        if one.poll() is None:
            one.send_signal(signal.SIGTERM)
            one.wait(60)


@pytest.mark.parametrize(
    "more",
    ["", DATED],
    ids=["plain", "with a date, which can't be handed over"],
)  # fmt: skip
def test_the_process_becomes_the_keeper_and_its_fork_the_brain(
    tmp_path: Path, ended: list[subprocess.Popen[bytes]], more: str
) -> None:
    file = tmp_path / "chapiteau.toml"
    file.write_text(f'{more}[service.web]\ncommand = "sleep 600"\nready.alive = "1ms"\n')
    words = [*CHAPITEAU, "run", "daemon", "--config", str(file)]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    ended.append(process)
    client = Client.find(file)
    status = answer_of(client)
    assert status.keeper_pid == process.pid
    assert status.pid in children_of(process.pid)
    assert status.brain_restarts == 0
    wait_for(lambda: client.status().services[0].state == "running")


@pytest.mark.parametrize("broken", ["[service.web]\ncommand = 1\n", "[", None])
def test_a_file_that_is_not_fit_leaves_no_brain_behind(tmp_path: Path, broken: str | None) -> None:
    if broken is not None:
        (tmp_path / "chapiteau.toml").write_text(broken)
    words = [*CHAPITEAU, "run", "daemon", "--config", str(tmp_path / "chapiteau.toml")]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == (2 if broken else 3)
    assert "chapiteau.toml" in done.stderr
    assert not bearers(tmp_path)
    assert not (tmp_path / ".chapiteau").exists()


def test_a_second_one_is_refused_and_leaves_the_first_alone(
    tmp_path: Path, ended: list[subprocess.Popen[bytes]]
) -> None:
    file = tmp_path / "chapiteau.toml"
    file.write_text('[service.web]\ncommand = "sleep 600"\n')
    words = [*CHAPITEAU, "run", "daemon", "--config", str(file)]
    ended.append(subprocess.Popen(words, cwd=tmp_path))
    status = answer_of(Client.find(file))
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "runs here already" in done.stderr) == (4, True)
    assert alive(status.pid)
    assert Client.find(file).status().pid == status.pid


def test_a_daemon_that_is_told_to_end_while_it_begins_ends_whole(tmp_path: Path) -> None:
    """At every moment of its first tenths of a second."""
    file = tmp_path / "chapiteau.toml"
    file.write_text('[service.web]\ncommand = "sleep 600"\n')
    words = [*CHAPITEAU, "run", "daemon", "--config", str(file)]
    for hundredths in (6, 12, 18):
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(hundredths / 100)
            process.terminate()
            process.wait(60)
        wait_for(lambda: not bearers(tmp_path), what=f"nothing is left after {hundredths / 100} s")


def answer_of(client: Client) -> SupervisorStatus:
    """What it says, once it answers."""

    def asked() -> SupervisorStatus:
        try:
            return client.status()
        except ChapiteauError as exc:
            raise OSError(exc.what) from exc

    return wait_for(asked)


def bearers(folder: Path) -> list[int]:
    """Processes that work in this folder, or have it among their words."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes()
            if os.readlink(f"/proc/{name}/cwd") == str(folder) or str(folder).encode() in words:
                found.append(int(name))
        except OSError:
            continue
    return found
