"""A project with a running supervisor, driven as a user does, and ended with a last look."""

from __future__ import annotations

import contextlib
import os
import signal
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.client import Client
from chapiteau.run.config.load import load_config
from chapiteau.run.supervisor.launch import start
from tests.support import DEADLINE, alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.run.api.status import ServiceStatus, SupervisorStatus
    from chapiteau.run.events import Event

__all__ = ["Project"]

T = TypeVar("T")


class Project:
    """`up()` starts the supervisor of a chapiteau.toml below `folder`."""

    def __init__(self, folder: Path, toml: str) -> None:
        self.folder = folder
        self.config = folder / "chapiteau.toml"
        self.write(toml)
        self.keeper = 0
        self.seen: set[int] = set()

    def write(self, toml: str) -> None:
        self.config.write_text(textwrap.dedent(toml))

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    @property
    def client(self) -> Client:
        return Client.find(self.config)

    def up(self, *only: str) -> Project:
        config = load_config(self.config)
        start(config.path, config.spec, owner_pid=os.getpid(), only=only)
        self.keeper = self.status().keeper_pid
        return self

    def status(self) -> SupervisorStatus:
        found = self.client.status()
        self.seen |= {p.pid for s in found.services for p in s.processes if p.pid}
        return found

    def service(self, name: str) -> ServiceStatus:
        return next(s for s in self.status().services if s.name == name)

    def pids(self, name: str) -> list[int]:
        return [p.pid for p in self.service(name).processes if p.pid]

    def until(self, name: str, state: str, deadline: float = DEADLINE) -> ServiceStatus:
        wait_for(lambda: self.service(name).state == state, deadline, f"{name} is {state}")
        return self.service(name)

    def when(self, fact: Callable[[], T], deadline: float = DEADLINE, what: str = "") -> T:
        """As wait_for, while brains come and go: one that hangs up in mid-answer is "not yet"."""

        def calm() -> T | None:
            try:
                return fact()
            except ChapiteauError:
                return None

        return cast("T", wait_for(calm, deadline, what))

    def address(self, name: str) -> str:
        return next(s.address for s in self.status().sockets if s.name == name)

    def events(self, kind: str = "", service: str = "") -> list[Event]:
        return [
            e
            for e in self.client.events()
            if (not kind or e.kind == kind) and (not service or e.service == service)
        ]

    def kill_brain(self) -> int:
        """SIGKILL the brain and wait until another one answers."""
        old = self.when(lambda: self.status().pid, what="a brain answers")
        os.kill(old, signal.SIGKILL)
        self.when(lambda: self.status().pid != old, what="another brain answers")
        return old

    def down(self) -> None:
        """End it all; then nothing may be left."""
        if not self.keeper:
            return
        with contextlib.suppress(Exception):
            self.client.shutdown()
        try:
            wait_for(lambda: not alive(self.keeper), what="the keeper has ended")
        except AssertionError:
            os.kill(self.keeper, signal.SIGKILL)
            for pid in self.seen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        left = [pid for pid in self.seen if alive(pid)]
        assert not left, f"survived the end: {left}"
