"""Draining a server: every service stops gracefully, and nothing starts until it is undrained.

Who drained it, and what ran before, stands in a file: a later brain, and a supervisor that comes
back after a reboot, keep to it. Only `down`, which a person says, forgets it.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from chapiteau.io.files import write_atomic
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.commands import merge_outcomes
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.services import Services

__all__ = ["Drain"]

_SCHEMA: Final = 1
_STARTING: Final = ("start", "restart")  # what a drained server refuses
_SUFFIX: Final = ".drained"  # after a Unix socket's path, while nobody shall connect


@dataclass(frozen=True, slots=True)
class _Drained:
    since: float  # seconds since 1970
    who: str
    services: tuple[str, ...]  # that ran before


class Drain:
    """`run` takes the commands `drain` and `undrain`, and refuses those that start something."""

    def __init__(self, context: Context, services: Services) -> None:
        self._context, self._services = context, services
        self._path = context.config.run_dir / "drained.json"
        self._lock = asyncio.Lock()
        self._now = self._read()

    def _read(self) -> _Drained | None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self._path.read_text())
            if kept["schema"] == _SCHEMA:
                services = tuple(str(name) for name in kept["services"])
                return _Drained(float(kept["since"]), str(kept["who"]), services)
        return None

    @property
    def begun(self) -> bool:
        """Whether the server is drained, or being drained."""
        return self._now is not None

    def facts(self) -> dict[str, Any]:
        """As in the status: {} or since, who, services (that ran before), left (still stopping)."""
        if self._now is None:
            return {}
        facts = asdict(self._now) | {"services": list(self._now.services)}
        return {**facts, "left": [one.name for one in self._busy()]}

    async def run(self, verb: str, actor: str) -> Outcome | None:
        """Do it; None when the command is none of ours."""
        if verb == "drain":
            return await self._begin(actor)
        if verb == "undrain":
            return await self._undo(actor)
        if self._now is not None and verb in _STARTING:
            return Outcome(
                ok=False, error=f"this server is drained, by {self._now.who}: nothing starts",
                hint="chapiteau undrain", exit_code=4,
            )  # fmt: skip
        return None

    def resume(self) -> None:
        """A brain before us had drained it, or was about to."""
        if self._now is not None and self._busy():
            self._context.host.run(self._finish())
        elif self._now is not None:
            self._close_sockets()  # those of a new supervisor are open

    def start_later(self, name: str) -> None:
        """A service that would start now does so when the server is undrained."""
        if self._now is not None and name not in self._now.services:
            self._keep(replace(self._now, services=(*self._now.services, name)))

    def forget(self) -> None:
        """Somebody has ended everything: the next start is a fresh one."""
        self._move_paths(back=True)
        self._path.unlink(missing_ok=True)

    async def _begin(self, actor: str) -> Outcome:
        if self._now is None:
            ran = [one.name for one in self._services.configured() if one.on and not _is_done(one)]
            self._keep(_Drained(self._context.clock.wall(), actor, tuple(ran)))
            self._emit("supervisor.draining", f"{_count(len(ran))} end", actor)
        self._services.pause()
        return await self._stop_all(actor)

    async def _finish(self) -> None:
        if self._now is not None:
            await self._stop_all(self._now.who)

    async def _stop_all(self, actor: str) -> Outcome:
        """In the reverse order of the start; then nobody is let in any more."""
        async with self._lock:
            results: dict[str, Outcome] = {}
            for group in self._services.in_stop_order():
                busy = [one for one in self._busy() if one in group]
                done = await asyncio.gather(
                    *(self._services.run("stop", one, {}, actor) for one in busy)
                )
                results |= {one.name: outcome for one, outcome in zip(busy, done, strict=True)}
            if bad := {name: one for name, one in results.items() if not one.ok}:
                return merge_outcomes({**bad, "drain": Outcome(ok=False, error="not drained yet")})
            self._close_sockets()
        self._emit("supervisor.drained", "", actor)
        ran = len(self._now.services) if self._now is not None else 0
        return Outcome(ok=True, text=f"drained: {_count(ran)} ended", data=self.facts())

    async def _undo(self, actor: str) -> Outcome:
        if self._now is None:
            return Outcome(ok=True, text="this server is not drained")
        async with self._lock:
            if problem := self._open_sockets():
                return Outcome(ok=False, error=problem, hint="it stays drained", exit_code=1)
            ran, self._now = self._now.services, None
            self._path.unlink(missing_ok=True)
            self._emit("supervisor.undrained", f"{_count(len(ran))} start", actor)
            self._services.resume()
            known = [one for name in ran if (one := self._services.get(name)) is not None]
            # All at once: each waits for what it needs by itself.
            done = await asyncio.gather(
                *(self._services.run("start", one, {}, actor) for one in known)
            )
        if all(one.ok for one in done):
            return Outcome(ok=True, text=f"back to work: {_count(len(known))}")
        return merge_outcomes({one.name: out for one, out in zip(known, done, strict=True)})

    def _emit(self, kind: str, text: str, actor: str) -> None:
        self._context.host.emit(kind, text, who=actor)

    def _keep(self, now: _Drained) -> None:
        self._now = now
        # A full disk costs the memory of a reboot; this brain knows it anyway.
        with contextlib.suppress(OSError):
            data = json.dumps({"schema": _SCHEMA, **asdict(now)}).encode()
            write_atomic(self._path, data, mode=0o600)

    def _busy(self) -> list[ServiceController]:
        return [
            one
            for one in self._services.configured()
            if not _is_done(one) and (one.on or not one.quiet)
        ]

    # ── sockets ─────────────────────────────────────────────────────────────────────────────
    def _close_sockets(self) -> None:
        """Who connects is refused at once and goes elsewhere, instead of waiting for nobody.

        A port that the kernel chose stays open: closed, it would come back as another one.
        """
        for one, _ in self._listening():
            with contextlib.suppress(OSError):  # shut already
                one.shutdown(socket.SHUT_RD)
        self._move_paths()

    def _open_sockets(self) -> str:
        for one, backlog in self._listening():
            try:
                one.listen(backlog)
            except OSError as exc:
                return f"can't listen on {one.getsockname()} again: {exc.strerror}"
        self._move_paths(back=True)
        return ""

    def _listening(self) -> Iterator[tuple[socket.socket, int]]:
        for name, spec in self._context.config.spec.socket.items():
            if spec.type == "stream" and spec.port and not spec.path:
                for one in self._context.sockets.all_of(name):
                    yield one, spec.backlog

    def _move_paths(self, *, back: bool = False) -> None:
        """Unix sockets: out of the way, and back."""
        for spec in self._context.config.spec.socket.values():
            if spec.path:
                here = self._context.config.folder / spec.path
                there = here.with_name(here.name + _SUFFIX)
                with contextlib.suppress(FileNotFoundError):
                    there.replace(here) if back else here.replace(there)


def _count(services: int) -> str:
    return f"{services} service{'' if services == 1 else 's'}"


def _is_done(service: ServiceController) -> bool:
    """A one-shot that has done its work: it would do it again."""
    return service.spec.one_shot and service.state == "completed"
