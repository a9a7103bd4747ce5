"""A supervisor inside a program: it lives as long as its block; and one without a keeper."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import InvalidInputError
from chapiteau.run import Supervisor
from chapiteau.run.client import Client
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


async def test_it_lives_as_long_as_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    web = {"command": "sh -c 'pwd >here; exec sleep 600'", "ready": {"alive": "20ms"}}
    async with Supervisor({"service": {"web": web}}) as s:
        status = await s.ready(20)
        first = status.services[0].processes[0].pid
        assert (tmp_path / "here").read_text().strip() == str(tmp_path)
        assert (await s.scale("web", 2)).ok
        assert (await s.restart("web")).ok
        pids = [p.pid for p in (await s.status()).services[0].processes]
        assert first not in pids
        with pytest.raises(ChapiteauError, match="no service"):
            await s.stop("wbe")
        with pytest.raises(ChapiteauError, match="no service"):
            await s.signal("wbe", "HUP")
        assert (await s.client.configure("web", {"stop_timeout": "2s"})).ok
    assert not any(map(alive, [first, *pids, status.pid, status.keeper_pid]))
    with pytest.raises(ChapiteauError, match="does not run"):
        await s.status()


async def test_what_is_wrong_is_raised_where_it_shows(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="comand"):
        async with Supervisor({"service": {"web": {"comand": "x"}}}):
            raise AssertionError("never")
    bad = {"command": "false", "restart": {"policy": "never"}}
    with pytest.raises(ChapiteauError, match="web is failed"):
        async with Supervisor({"service": {"web": bad}}) as s:
            await s.ready(20)


def test_without_a_keeper_it_is_one_process(tmp_path: Path) -> None:
    (tmp_path / "chapiteau.toml").write_text("""
        [socket.in]
        [service.web]
        command = ["sh", "-c", "trap 'echo >bye; exit' TERM; echo up; while :; do sleep .1; done"]
        sockets = ["in"]
        ready.log = "up"
        [service.flees]
        command = ["sh", "-c", "setsid sh -c 'echo $$ >fled; exec sleep 600' & exec sleep 600"]
        ready.alive = "20ms"
        hooks.before_start = "true"
        [service.group]
        command = "sh group.sh && true"
        shell = true
        ready.log = "up"
    """)
    (tmp_path / "group.sh").write_text(
        "trap 'sleep 0.1; echo >said; exit' TERM\necho up\nwhile :; do sleep .1; done\n"
    )
    words = [sys.executable, "-m", "chapiteau", "up", "--no-keeper"]
    one = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    client = Client.at(tmp_path / ".chapiteau")

    def up() -> bool:
        try:
            return all(s.ready for s in client.status().services)
        except ChapiteauError:
            return False

    wait_for(up)
    status = client.status()
    assert (status.pid, status.keeper_pid) == (one.pid, one.pid)
    assert "without a keeper" in status.cgroups
    (web,) = (p.pid for s in status.services if s.name == "web" for p in s.processes)
    os.kill(web, signal.SIGKILL)
    wait_for(lambda: client.status().services[0].restarts == 1 and up())
    assert not client.upgrade().ok
    fled = int(wait_for((tmp_path / "fled").read_text))
    one.send_signal(signal.SIGTERM)
    _, said = one.communicate(timeout=60)
    assert one.returncode == 0, said
    assert "without a keeper" in said
    assert (tmp_path / "bye").exists()
    assert (tmp_path / "said").exists(), "its shell has ended at once"
    assert not alive(fled), "what has fled its session has come to us"


def test_without_a_keeper_an_essential_service_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "chapiteau.toml").write_text("""
        [service.main]
        command = ["sh", "-c", "sleep 0.2; exit 9"]
        essential = true
        restart.policy = "never"
    """)
    words = [sys.executable, "-m", "chapiteau", "up", "--no-keeper"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 9, done.stderr
