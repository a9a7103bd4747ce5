"""Nodes that lend themselves put load on, over the hub: real supervisors, agents and relays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chapiteau.load.testing import Target
from tests.dash.nodes.control_plane.stage import NatsServer, nats_server
from tests.support import run_cli, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(150)]


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


@pytest.fixture(params=["its own port", "nats"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The folder of a running hub, which nodes meet at a port of its own or at a NATS server."""
    folder = tmp_path / "hub"
    folder.mkdir()
    settings = '[project]\nname = "hub"\n[hub]\nhost = "127.0.0.1"\nport = 0\n'
    if request.param == "nats":
        server = request.getfixturevalue("nats")
        place = server.place("chapiteau")
        settings += f'[hub.nats]\nurl = "{place.url}"\nmonitor = "{place.monitor}"\n'
        (folder / "nats").write_text(place.url)
    (folder / "chapiteau.toml").write_text(settings)
    words = [sys.executable, "-m", "chapiteau", "hub", "up", "--bind", "127.0.0.1:0"]
    with (folder / "said").open("wb") as said:
        running = subprocess.Popen(words, cwd=folder, stdout=said, stderr=said)
    try:
        wait_for(lambda: "nodes meet it at" in (folder / "said").read_text(), 30, "the hub is up")
        yield folder
    finally:
        running.terminate()
        running.wait(20)


def node(tmp_path: Path, hub: Path, name: str) -> Path:
    """A server with a supervisor of its own, joined to the hub."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "chapiteau.toml").write_text(
        f'[project]\nname = "{name}"\n[service.idle]\ncommand = "sleep 600"\n'
    )
    joined = run_cli("node", "join", *where(hub), "--name", name, cwd=folder)
    assert joined.returncode == 0, joined.stderr
    assert run_cli("up", "-d", cwd=folder).returncode == 0
    return folder


def where(hub: Path) -> list[str]:
    """Where nodes meet it, and what lets them in."""
    if (hub / "nats").exists():
        return [(hub / "nats").read_text()]
    port = (hub / "said").read_text().partition("nodes meet it at 127.0.0.1:")[2].split()[0]
    return [f"127.0.0.1:{port}", run_cli("hub", "token", cwd=hub).stdout.split()[-1]]


def load(hub: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["load", "run", url, "--on", "hub", "--processes", "1", "--quiet", "--no-store"]
    words += ["-r", "40", "-d", "2s", "--arrivals", "even", "--json", *more]
    return run_cli(*words, cwd=hub)


def test_nodes_that_lend_themselves_put_load_on(tmp_path: Path, hub: Path) -> None:
    with Target("queue", mean=0.0001, fixed=True) as target:
        folders = [node(tmp_path, hub, name) for name in ("n1", "n2", "n3")]
        try:
            refused = load(hub, target.url)
            assert refused.returncode == 1, refused.stdout
            assert "chapiteau node lend" in refused.stderr
            for folder in folders[:2]:
                assert run_cli("node", "lend", cwd=folder).returncode == 0

            def both() -> bool:
                done = load(hub, target.url, "--dry-run")
                assert done.returncode == 0, done.stderr
                found = load(hub, target.url)
                if found.returncode:
                    return False
                document.update(json.loads(found.stdout))
                return bool(document["soundness"]["processes"] == 2)

            document: dict[str, dict[str, int]] = {}
            wait_for(both, 60, "both nodes were told of, and put load on")
            assert (document["totals"]["requests"], document["totals"]["bad"]) == (80, 0)
            for folder in folders[:2]:
                assert run_cli("node", "lend", "--off", cwd=folder).returncode == 0
        finally:
            for folder in folders:
                run_cli("down", cwd=folder)
