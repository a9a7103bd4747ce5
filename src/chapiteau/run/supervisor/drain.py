"""A server that is emptied: every service ends its work, and nothing begins until it is undone.

Who drained it, and what ran before, stands in a file: a later brain, and a supervisor that comes
back after a reboot, keep to it. Only `down`, which a person says, forgets it.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chapiteau.core.graph import layers
from chapiteau.io.files import write_atomic
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.commands import merge_outcomes

if TYPE_CHECKING:
    from chapiteau.run.supervisor.service_controller import ServiceController
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["Drain"]

_SCHEMA = 1
_BEGINS = ("start", "restart")  # what a drained server refuses
_ASIDE = ".drained"  # after a Unix socket's path, while nobody shall come by it


class Drain:
    """`hear` takes the commands `drain` and `undrain`, and refuses those that begin work."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._path = supervisor.run_dir / "drained.json"
        self._lock = asyncio.Lock()
        self._now = self._read()

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self._path.read_text())
            if kept["schema"] == _SCHEMA:
                services = [str(name) for name in kept["services"]]
                since, who = float(kept["since"]), str(kept["who"])
                return {"since": since, "who": who, "services": services}
        return {}

    @property
    def begun(self) -> bool:
        """Whether the server is drained, or on its way there."""
        return bool(self._now)

    def facts(self) -> dict[str, Any]:
        """As in the status: {} or since, who, services (that ran before), left (that still end)."""
        return {**self._now, "left": [r.name for r in self._busy()]} if self._now else {}

    async def hear(self, verb: str, who: str) -> Outcome | None:
        """Do it; None when the command is none of ours."""
        if verb == "drain":
            return await self._begin(who)
        if verb == "undrain":
            return await self._undo(who)
        if self._now and verb in _BEGINS:
            return Outcome(
                ok=False, error=f"this server is drained, by {self._now['who']}: nothing starts",
                hint="chapiteau undrain", exit_code=4,
            )  # fmt: skip
        return None

    def go_on(self) -> None:
        """A brain before us had drained it, or was about to."""
        if self._supervisor.only_looks:
            return
        if self._now and self._busy():
            self._supervisor.ground.run(self._finish())
        elif self._now:
            self._close_doors()  # those of a new supervisor are open

    def later(self, name: str) -> None:
        """A service that would start now; it does when the server is undrained."""
        if name not in self._now["services"]:
            self._keep({**self._now, "services": [*self._now["services"], name]})

    def forget(self) -> None:
        """Somebody has ended everything: the next start is a fresh one."""
        self._aside(back=True)
        self._path.unlink(missing_ok=True)

    async def _begin(self, who: str) -> Outcome:
        supervisor = self._supervisor
        if not self._now:
            ran = [r.name for r in self._others() if r.on and not _is_over(r)]
            since = supervisor.clock.wall()
            self._keep({"since": since, "who": who, "services": ran})
            supervisor.ground.say("supervisor.draining", f"{_services(len(ran))} end", who=who)
        for runner in supervisor.runners.values():
            supervisor.start_helpers(runner)  # that is: end them
        return await self._empty(who)

    async def _finish(self) -> None:
        await self._empty(self._now["who"])

    async def _empty(self, who: str) -> Outcome:
        """In the reverse order of the start; then nobody is let in any more."""
        supervisor = self._supervisor
        async with self._lock:
            results: dict[str, Outcome] = {}
            order = layers({r.name: (*r.spec.needs, *r.spec.after) for r in self._others()})
            for group in reversed(order):
                busy = [r for r in self._busy() if r.name in group]
                done = await asyncio.gather(*(supervisor.give("stop", r, who) for r in busy))
                results |= {r.name: one for r, one in zip(busy, done, strict=True)}
            if bad := {name: one for name, one in results.items() if not one.ok}:
                return merge_outcomes({**bad, "drain": Outcome(ok=False, error="not drained yet")})
            self._close_doors()
        supervisor.ground.say("supervisor.drained", who=who)
        ran = len(self._now.get("services", ()))
        return Outcome(ok=True, text=f"drained: {_services(ran)} ended", data=self.facts())

    async def _undo(self, who: str) -> Outcome:
        supervisor = self._supervisor
        if not self._now:
            return Outcome(ok=True, text="this server is not drained")
        async with self._lock:
            if problem := self._open_doors():
                return Outcome(ok=False, error=problem, hint="it stays drained", exit_code=1)
            ran, self._now = self._now["services"], {}
            self._path.unlink(missing_ok=True)
            supervisor.ground.say("supervisor.undrained", f"{_services(len(ran))} start", who=who)
            for runner in supervisor.runners.values():
                supervisor.start_helpers(runner)
            known = [supervisor.runners[name] for name in ran if name in supervisor.runners]
            # All at once: each waits for what it needs by itself.
            done = await asyncio.gather(*(supervisor.give("start", r, who) for r in known))
        if all(one.ok for one in done):
            return Outcome(ok=True, text=f"back to work: {_services(len(known))}")
        return merge_outcomes({r.name: one for r, one in zip(known, done, strict=True)})

    def _keep(self, now: dict[str, Any]) -> None:
        self._now = now
        # A full disk costs the memory of a reboot; this brain knows it anyway.
        with contextlib.suppress(OSError):
            write_atomic(self._path, json.dumps({"schema": _SCHEMA, **now}).encode(), mode=0o600)

    def _others(self) -> "Iterator[ServiceController]":
        """All but plugins and page: these see, and steer, what goes on."""
        own = self._supervisor.own_services
        return (r for name, r in self._supervisor.runners.items() if name not in own)

    def _busy(self) -> "list[ServiceController]":
        return [r for r in self._others() if not _is_over(r) and (r.on or not r.quiet)]

    # ── doors ───────────────────────────────────────────────────────────────────────────────
    def _close_doors(self) -> None:
        """Who connects is refused at once and goes elsewhere, instead of waiting for nobody.

        A port that the kernel chose stays open: closed, it would come back as another one.
        """
        for door, _ in self._doors():
            with contextlib.suppress(OSError):  # shut already
                door.shutdown(socket.SHUT_RD)
        self._aside()

    def _open_doors(self) -> str:
        for door, backlog in self._doors():
            try:
                door.listen(backlog)
            except OSError as exc:
                return f"can't listen on {door.getsockname()} again: {exc.strerror}"
        self._aside(back=True)
        return ""

    def _doors(self) -> "Iterator[tuple[socket.socket, int]]":
        supervisor = self._supervisor
        for name, spec in supervisor.spec.socket.items():
            if spec.type == "stream" and spec.port and not spec.path and name in supervisor.bound:
                for door in (supervisor.bound[name], *supervisor.per_process.of(name)):
                    yield door, spec.backlog

    def _aside(self, *, back: bool = False) -> None:
        """Unix sockets: out of the way, and back."""
        for spec in self._supervisor.spec.socket.values():
            if spec.path:
                here = self._supervisor.config_path.parent / spec.path
                there = here.with_name(here.name + _ASIDE)
                with contextlib.suppress(FileNotFoundError):
                    there.replace(here) if back else here.replace(there)


def _services(count: int) -> str:
    return f"{count} service{'' if count == 1 else 's'}"


def _is_over(runner: "ServiceController") -> bool:
    """A one-shot that has done its work: it would do it again."""
    return runner.spec.one_shot and runner.state == "completed"
