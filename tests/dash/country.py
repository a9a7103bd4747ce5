"""A hub and servers in network namespaces of their own, which can be cut off."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import wait_for

NET = f"10.213.{64 + os.getpid() % 128}"  # two countries may stand at once
SERVICES = """
[project]
name = "shop"
[service.web]
command = ["${python}", "-c", "import signal; print('up', flush=True); signal.pause()"]
processes = 2
"""
HUB = f"""
[project]
name = "fleet"
[dash]
port = 0
[hub]
host = "{NET}.1"
port = 8843
address = "{NET}.1:8843"
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


class Country:
    """A bridge, and servers behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"c{os.getpid() % 100000}"
        self.servers: list[str] = []
        self.hub: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        ip("link", "add", self.mark, "type", "bridge")
        ip("addr", "add", f"{NET}.1/24", "dev", self.mark)
        ip("link", "set", self.mark, "up")

    def add(self, name: str) -> None:
        number = len(self.servers) + 2
        space, outer = self.space(name), self.wire(name)
        ip("netns", "add", space)
        self.servers.append(name)
        ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", outer, "master", self.mark, "up")
        ip("-n", space, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "link", "set", "lo", "up")
        (self.folder / name).mkdir()
        (self.folder / name / "chapiteau.toml").write_text(SERVICES)

    def space(self, name: str) -> str:
        return f"{self.mark}{name}"

    def wire(self, name: str) -> str:
        return f"v{self.mark}{name}"

    def on(self, name: str, *words: str) -> str:
        """`chapiteau …` on a server."""
        return self._run(["ip", "netns", "exec", self.space(name)], name, *words)

    def at_hub(self, *words: str) -> str:
        return self._run([], "hub", *words)

    def _run(self, before: list[str], place: str, *words: str) -> str:
        done = subprocess.run(
            [*before, sys.executable, "-m", "chapiteau", *words],
            cwd=self.folder / place,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def account(self, name: str, role: str, password: str) -> None:
        """Somebody who may log in to the page."""
        command = ["dash", "user", "add", name, "--role", role, "--password-stdin"]
        subprocess.run(
            [sys.executable, "-m", "chapiteau", *command],
            cwd=self.folder / "hub",
            input=f"{password}\n",
            text=True,
            capture_output=True,
            timeout=60,
            check=True,
        )

    def cut(self, name: str) -> None:
        ip("link", "set", self.wire(name), "down")

    def mend(self, name: str) -> None:
        ip("link", "set", self.wire(name), "up")

    def start_hub(self) -> None:
        log = (self.folder / "hub.log").open("wb")
        self.hub = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "hub", "up"],
            cwd=self.folder / "hub",
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_for(self.link, what="the hub's link")

    def link(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.folder / "hub" / ".chapiteau" / "dash.json").read_text()
        )
        return found

    def deafen(self, name: str) -> None:
        """What the server sends to the hub is lost; what the hub sends arrives."""
        ip("-n", self.space(name), "route", "add", "blackhole", f"{NET}.1/32")

    def undeafen(self, name: str) -> None:
        ip("-n", self.space(name), "route", "del", "blackhole", f"{NET}.1/32")

    def destroy(self) -> None:
        for name in self.servers:
            subprocess.run(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.space(name),
                    sys.executable,
                    "-m",
                    "chapiteau",
                    "down",
                ],
                cwd=self.folder / name,
                capture_output=True,
                timeout=60,
                check=False,
            )
            subprocess.run(["ip", "netns", "del", self.space(name)], check=False, timeout=60)
        if self.hub is not None:
            self.hub.kill()
            self.hub.wait()
        subprocess.run(["ip", "link", "del", self.mark], check=False, timeout=60)


@contextlib.contextmanager
def three_servers(folder: Path) -> Iterator[Country]:
    """The hub and three servers that have joined it and run; all gone afterwards."""
    country = Country(folder)
    (folder / "hub").mkdir()
    (folder / "hub" / "chapiteau.toml").write_text(HUB)
    try:
        try:
            country.build()
        except subprocess.CalledProcessError as exc:
            pytest.skip(f"no network namespaces here: {exc.stderr.decode()}")
        country.start_hub()
        for name in ("a", "b", "c"):
            country.add(name)
            line = country.at_hub("hub", "token").split()
            country.on(name, *line[1:], "--name", f"server-{name}")
            country.on(name, "up", "-d")
        yield country
    finally:
        country.destroy()
