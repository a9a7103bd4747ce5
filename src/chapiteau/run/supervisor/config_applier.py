"""Follows a changed file, and settings that people change at run time: whole, or not at all.

Settings of run time stand on top of the file's until the next `reload` of the file, or until they
are given back; a later brain has them too.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.access import Access, access_of
from chapiteau.run.config.load import load_config
from chapiteau.run.config.overrides import ADDED, REMOVED, updated_overrides, with_overrides
from chapiteau.run.config.plan import Change, Plan, make_plan
from chapiteau.run.config.selection import select
from chapiteau.run.config.spec import Spec
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.commands import default_timeout, turn
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.desired_state import APPLYING
from chapiteau.run.supervisor.drain import Drain
from chapiteau.run.supervisor.reload import reload_service
from chapiteau.run.supervisor.running_config import plugin_service
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.services import Services
from chapiteau.run.supervisor.sockets import bind_changed, unlink_sockets
from chapiteau.run.system.sockets import adjust_socket

__all__ = ["ConfigApplier"]

_SHOWN: Final = 50  # changes that the event of an applied file lists one by one
_WORDS: Final = {ADDED: "added", REMOVED: "removed"}


class ConfigApplier:
    """One change of the configuration at a time."""

    def __init__(
        self,
        context: Context,
        services: Services,
        drain: Drain,
        on_access: Callable[[Access], None],
    ) -> None:
        """`on_access`: others may steer us now."""
        self._context, self._services, self._drain = context, services, drain
        self._on_access = on_access
        self._lock = asyncio.Lock()

    async def apply_file(self, *, dry_run: bool, actor: str) -> Outcome:
        """Read the file, plan, apply."""
        if dry_run:
            return await self._outcome(self._apply_file(dry_run=True, actor=actor))
        return await self._outcome(self._apply_file(dry_run=False, actor=actor), {})

    async def _apply_file(self, *, dry_run: bool, actor: str) -> Outcome:
        config = self._context.config
        new = load_config(config.path).spec
        plan = make_plan(config.spec, new, config.overrides)
        if plan.refused:
            text = "; ".join(str(change) for change in plan.refused)
            hint, data = plan.refused[0].why, plan.to_dict()
            return Outcome(ok=False, error=f"refused: {text}", hint=hint, exit_code=4, data=data)
        if dry_run:
            return Outcome(ok=True, text=plan.text(), data=plan.to_dict())
        access = access_of(new.project)  # a user or group that is not there stops it here
        outcome = await self._apply(new, plan)
        if outcome.ok:
            config.commit(new, {}, applied=bool(plan))
        if outcome.ok and plan:
            self._on_access(access)
            data = {"changes": [change.to_dict() for change in plan.changes[:_SHOWN]]}
            self._context.host.emit("supervisor.config_applied", plan.brief(), who=actor, data=data)
        return outcome

    async def change_settings(
        self, pattern: str, given: Mapping[str, Any], reset: Iterable[str], actor: str
    ) -> Outcome:
        """Other values for services, or with `reset` those of the file again."""
        noted = {"service": pattern, "settings": dict(given), "reset": list(reset)}
        return await self._outcome(
            self._change_settings(pattern, given, tuple(reset), actor), noted
        )

    async def _outcome(
        self, change: Awaitable[Outcome], noted: Mapping[str, Any] | None = None
    ) -> Outcome:
        """One after the other. A brain after us completes what was `noted`, and is not over."""
        async with self._lock:
            self._context.link.note(APPLYING, noted)
            try:
                return await change
            except ChapiteauError as exc:
                return Outcome.failed(exc)
            finally:
                self._context.link.note(APPLYING, None)

    async def _change_settings(
        self, pattern: str, given: Mapping[str, Any], reset: tuple[str, ...], actor: str
    ) -> Outcome:
        config = self._context.config
        if given.get(ADDED) and pattern in self._services:
            return Outcome(ok=False, error=f"there is a service {pattern!r} already", exit_code=4)
        added = bool(given.get(ADDED))
        names = (pattern,) if added else tuple(select(pattern, list(config.spec.service)))
        overrides = config.overrides
        for name in names:
            if given.get(REMOVED) and name not in config.base.service:
                overrides = updated_overrides(overrides, name, {}, ("*",))  # added at run time
            else:
                overrides = updated_overrides(overrides, name, given, reset)
        spec, problems = with_overrides(config.base, overrides)
        if spec is None or problems:
            error = "\n".join(str(p) for p in problems)
            return Outcome(ok=False, error=error, hint="nothing was changed", exit_code=2)
        outcome = await self._apply(spec, make_plan(config.spec, spec))
        if not outcome.ok:
            return outcome
        config.commit(config.base, overrides)
        if "processes" in given:
            await self._rescale(names)
        what = ", ".join([*(_WORDS.get(k, k) for k in given), *(f"{k} given back" for k in reset)])
        data = {"settings": list(given), "reset": list(reset)}
        for name in names:
            self._context.host.emit("service.set", what, service=name, who=actor, data=data)
        return outcome

    async def _rescale(self, names: Iterable[str]) -> None:
        """The wanted number may differ from the setting already, when somebody has scaled."""
        for name in names:
            service = self._services[name]
            if service.wanted != service.spec.processes:
                async with _turn(service):
                    await service.scale(service.spec.processes, None)

    async def _apply(self, new: Spec, plan: Plan) -> Outcome:
        """Make every change of a plan, or none; what people are told of it."""
        transition = _Transition(self._context, self._services, self._drain, new)
        failure = await transition.make(plan)
        if failure is None:
            return Outcome(ok=True, text=plan.text(), data=plan.to_dict())
        await transition.undo()
        return Outcome(
            ok=False,
            error=f"{failure.error}\nthe configuration is as it was before",
            hint=failure.hint,
            exit_code=failure.exit_code or 1,
            data=plan.to_dict(),
        )


class _Transition:
    """From one configuration to another; `undo` takes back what was done of it."""

    def __init__(self, context: Context, services: Services, drain: Drain, new: Spec) -> None:
        self._config, self._sockets = context.config, context.sockets
        self._emit = context.host.emit
        self._services, self._drain = services, drain
        self._old, self._new = context.config.spec, new
        self._replaced: dict[str, socket.socket] = {}  # sockets in whose place are others
        self._bound: dict[str, socket.socket] = {}
        self._closed: list[str] = []  # paths of sockets
        self._done: list[Change] = []
        self._prepared: set[str] = set()  # names that need not run again before a reload

    async def make(self, plan: Plan) -> Outcome | None:
        """Make every change; the first failure, or None. Sockets first: they fail without harm."""
        sockets, folder = self._sockets, self._config.folder
        try:
            self._bound = bind_changed(plan, self._old, self._new, sockets.bound, folder)
        except ChapiteauError as exc:
            return Outcome.failed(exc)
        self._config.use(self._new)
        for name, bound in self._bound.items():
            if name in sockets.bound:
                self._replaced[name] = sockets.bound[name]
            await sockets.add(name, self._new.socket[name], bound)
        for change in plan.changes:
            self._done.append(change)
            outcome = await self._change(change)
            if not outcome.ok:
                return outcome
        for replaced in self._replaced.values():
            self._closed += _path_of(replaced)
            replaced.close()
        unlink_sockets(self._closed, sockets.bound.values())
        return None

    async def undo(self) -> None:
        """As it was: the sockets that were replaced were never closed, services go back."""
        self._config.use(self._old)
        for name, bound in self._bound.items():
            bound.close()
            if name in self._replaced:
                await self._sockets.add(name, self._old.socket[name], self._replaced[name])
            else:
                self._sockets.drop(name)
        for name, wanted in self._old.socket.items():
            if name in self._sockets.bound and wanted != self._new.socket.get(name):
                with contextlib.suppress(ChapiteauError):  # it was so before: it can be so again
                    self._adjust(name, self._old)
        done = {(change.what, change.name) for change in self._done}
        for change in make_plan(self._new, self._old).changes:
            if (change.what, change.name) not in done:
                continue
            if change.what == "service" and not self._went_back(change):
                await self._change_service(change)
            elif change.what == "plugin":
                await self._change_plugin(change)

    def _went_back(self, change: Change) -> bool:
        """A reload that failed has put the old processes back itself: they need no other."""
        service = self._services.get(change.name)
        if change.kind != "change" or service is None:
            return False
        return service.spec == self._old.service[change.name]

    async def _change(self, change: Change) -> Outcome:
        try:
            if change.what == "service":
                return await self._change_service(change)
            if change.what == "plugin":
                await self._change_plugin(change)
            elif change.what == "socket":
                self._change_socket(change)
        except ChapiteauError as exc:
            return Outcome.failed(exc)
        return Outcome(ok=True)

    # ── sockets ─────────────────────────────────────────────────────────────────────────────
    def _change_socket(self, change: Change) -> None:
        name = change.name
        if change.effect in ("close", "replace"):
            self._sockets.forget(name)
        if change.effect == "close":
            if (bound := self._sockets.drop(name)) is not None:
                self._closed += _path_of(bound)
                bound.close()
            self._emit("socket.closed", name, data={"socket": name})
        elif change.effect == "apply" and name in self._sockets.bound:
            self._adjust(name, self._new)

    def _adjust(self, name: str, to: Spec) -> None:
        wanted = to.socket[name]
        for one in self._sockets.all_of(name):
            adjust_socket(name, one, wanted, self._config.folder)
        self._sockets.respec(name, wanted)

    # ── services ────────────────────────────────────────────────────────────────────────────
    async def _change_plugin(self, change: Change) -> None:
        """A plugin that does not come up holds nothing back: status shows it."""
        name = change.name
        if change.kind != "add":
            async with _turn(self._services[name]):
                await self._services[name].stop()
            self._services.remove(name)
        if change.kind != "remove":
            service = plugin_service(self._config.path, name, self._config.spec.plugin[name])
            self._services.add(name, service, internal=True).switch_on()

    async def _change_service(self, change: Change) -> Outcome:
        if change.kind == "remove":
            service = self._services[change.name]
            async with _turn(service):
                outcome = await service.stop()
            if outcome.ok:
                self._services.remove(change.name)
            return outcome
        if change.kind == "add":
            outcome = await self._add_service(change.name)
        else:
            service = self._services[change.name]
            async with _turn(service):
                outcome = await self._to_spec(service, change)
        if change.kind == "add" or change.effect == "restart":
            self._prepared.add(change.name)
        return outcome

    async def _add_service(self, name: str) -> Outcome:
        spec = self._config.spec.service[name]
        service = self._services.add(name, spec)
        self._services.start_background(service)
        if not spec.starts_by_itself:
            return Outcome(ok=True)
        if self._drain.begun:
            self._drain.start_later(name)
            return Outcome(ok=True)
        return await service.start(None if spec.is_job else spec.ready.start_timeout + 5)

    async def _to_spec(self, service: ServiceController, change: Change) -> Outcome:
        spec = self._config.spec.service[service.name]
        scaled = any(d.setting == "processes" for d in change.differences)
        if change.effect in ("reload", "restart") and service.on and not self._drain.begun:
            failed = await self._services.run_before_reload(service, spec, "reload", self._prepared)
            if failed is not None:
                return failed
            self._prepared.update(spec.needs)
        if change.effect == "reload":
            outcome = await reload_service(service, spec)
            if outcome.ok and scaled and service.wanted != spec.processes and not spec.scaling:
                outcome = await service.scale(spec.processes, None)
            return outcome
        service.use(spec)
        self._services.start_background(service)
        if change.effect == "restart" and scaled and spec.processes < service.wanted:
            await service.scale(spec.processes, None)  # fewer: before the others are made anew
        outcome = Outcome(ok=True)
        # What people have stopped, and what waits for its hour, is not started by a new file.
        if change.effect == "restart" and service.on and not self._drain.begun:
            outcome = await service.restart(None)
        if scaled and outcome.ok and service.wanted != spec.processes:
            return await service.scale(spec.processes, None)
        return outcome


def _turn(service: ServiceController) -> AbstractAsyncContextManager[None]:
    return turn(service, "reload", default_timeout("reload", service.spec, service.wanted))


def _path_of(bound: socket.socket) -> list[str]:
    name = bound.getsockname() if bound.family == socket.AF_UNIX else ""
    return [name] if isinstance(name, str) and name.startswith("/") else []
