"""Follows a changed configuration: the whole plan, or back to where we were."""

import contextlib
import socket
from typing import TYPE_CHECKING

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.access import access_of
from chapiteau.run.config.load import load_config
from chapiteau.run.config.plan import Change, Plan, make_plan
from chapiteau.run.config.spec import Spec
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.bootstrap import store_socket
from chapiteau.run.supervisor.desired_state import save_running_spec
from chapiteau.run.supervisor.internal_services import plugin_service
from chapiteau.run.supervisor.sockets import bind_changed, unlink_sockets
from chapiteau.run.system.sockets import adjust_socket

if TYPE_CHECKING:
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["ConfigApplier", "apply_file", "apply_plan"]

_TOLD = 50  # changes that the event of an applied file tells one by one


async def apply_file(supervisor: "Supervisor", *, dry_run: bool, who: str) -> Outcome:
    """Read the file, plan, apply. Raises ChapiteauError when the file is not fit to run."""
    old, new = supervisor.spec, load_config(supervisor.config_path).spec
    plan = make_plan(old, new, supervisor.overrides)
    if plan.refused:
        text = "; ".join(str(change) for change in plan.refused)
        hint, data = plan.refused[0].why, plan.to_dict()
        return Outcome(ok=False, error=f"refused: {text}", hint=hint, exit_code=4, data=data)
    if dry_run:
        return Outcome(ok=True, text=plan.text(), data=plan.to_dict())
    access = access_of(new.project)  # a user or group that is not there stops it here
    outcome = await apply_plan(ConfigApplier(supervisor, old, new), plan)
    if outcome.ok:
        supervisor.base, supervisor.overrides = new, {}
        save_running_spec(supervisor.run_dir, new)
    if outcome.ok and plan:
        supervisor.generation += 1
        supervisor.on_roles(access)
        data = {"changes": [change.to_dict() for change in plan.changes[:_TOLD]]}
        supervisor.ground.say("supervisor.config_applied", plan.brief(), who=who, data=data)
    return outcome


async def apply_plan(following: "ConfigApplier", plan: Plan) -> Outcome:
    """Make every change of a plan, or none; what people are told of it."""
    data = plan.to_dict()
    failure = await following.follow(plan)
    if failure is None:
        return Outcome(ok=True, text=plan.text(), data=data)
    await following.back()
    return Outcome(
        ok=False,
        error=f"{failure.error}\nthe configuration is as it was before",
        hint=failure.hint,
        exit_code=failure.exit_code or 1,
        data=data,
    )


class ConfigApplier:
    """One change of configuration on its way; `back` undoes what was done of it."""

    def __init__(self, supervisor: "Supervisor", old: Spec, new: Spec) -> None:
        self._supervisor, self._old, self._new = supervisor, old, new
        self._folder = supervisor.config_path.parent
        self._spare: dict[str, socket.socket] = {}  # sockets that others have replaced
        self._fresh: dict[str, socket.socket] = {}
        self._left: list[str] = []  # paths of sockets that are closed
        self._done: list[Change] = []

    async def follow(self, plan: Plan) -> Outcome | None:
        """Make every change; the first failure, or None. Sockets first: they fail without harm."""
        supervisor = self._supervisor
        try:
            self._fresh = bind_changed(plan, self._old, self._new, supervisor.bound, self._folder)
        except ChapiteauError as exc:
            return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)
        supervisor.spec = self._new
        for name, bound in self._fresh.items():
            if name in supervisor.bound:
                self._spare[name] = supervisor.bound.pop(name)
            await store_socket(supervisor, name, bound)
        for change in plan.changes:
            self._done.append(change)
            outcome = await self._make(change)
            if not outcome.ok:
                return outcome
        for replaced in self._spare.values():
            self._left += _path_of(replaced)
            replaced.close()
        unlink_sockets(self._left, supervisor.bound.values())
        return None

    async def _make(self, change: Change) -> Outcome:
        if change.what == "service":
            return await _change_service(self._supervisor, change)
        if change.what == "plugin":
            await _change_plugin(self._supervisor, change)
        elif change.what == "socket":
            try:
                self._change_socket(change)
            except ChapiteauError as exc:
                return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)
        return Outcome(ok=True)

    async def back(self) -> None:
        """As it was: the sockets that were replaced were never closed, services go back."""
        supervisor = self._supervisor
        supervisor.spec = self._old
        for name, bound in self._fresh.items():
            supervisor.bound.pop(name, None)
            bound.close()
            if name in self._spare:
                await store_socket(supervisor, name, self._spare[name])
            else:
                supervisor.link.tell("drop", name=f"socket/{name}")
                supervisor.around.sockets.pop(name, None)
        self._adjust_back()
        touched = {change.name for change in self._done if change.what == "service"}
        for change in make_plan(self._new, self._old).of("service"):
            if change.name in touched and not self._went_back(change):
                await _change_service(supervisor, change)
        plugins = {change.name for change in self._done if change.what == "plugin"}
        for change in make_plan(self._new, self._old).of("plugin"):
            if change.name in plugins:
                await _change_plugin(supervisor, change)

    def _adjust_back(self) -> None:
        for name, bound in self._supervisor.bound.items():
            wanted = self._old.socket.get(name)
            if wanted is not None and wanted != self._new.socket.get(name):
                with contextlib.suppress(ChapiteauError):  # it was so before: it can be so again
                    adjust_socket(name, bound, wanted, self._folder)

    def _change_socket(self, change: Change) -> None:
        supervisor = self._supervisor
        if change.effect in ("close", "replace"):
            supervisor.per_process.forget(change.name)
        if change.effect == "close":
            supervisor.link.tell("drop", name=f"socket/{change.name}")
            supervisor.around.sockets.pop(change.name, None)
            if (bound := supervisor.bound.pop(change.name, None)) is not None:
                self._left += _path_of(bound)
                bound.close()
            supervisor.ground.say("socket.closed", change.name, data={"socket": change.name})
        elif change.effect == "apply" and change.name in supervisor.bound:
            wanted = self._new.socket[change.name]
            for one in (supervisor.bound[change.name], *supervisor.per_process.of(change.name)):
                adjust_socket(change.name, one, wanted, self._folder)

    def _went_back(self, change: Change) -> bool:
        """A reload that failed has put the old processes back itself: they need no other."""
        runner = self._supervisor.runners.get(change.name)
        if change.kind != "change" or runner is None:
            return False
        return runner.spec == self._old.service[change.name]


def _path_of(bound: socket.socket) -> list[str]:
    name = bound.getsockname() if bound.family == socket.AF_UNIX else ""
    return [name] if isinstance(name, str) and name.startswith("/") else []


async def _change_plugin(supervisor: "Supervisor", change: Change) -> None:
    """A plugin that does not come up holds nothing back: status shows it."""
    name = change.name
    if change.kind != "add":
        runner = supervisor.runners[name]
        async with runner.lock:
            await runner.stop()
        supervisor.forget_runner(name)
        supervisor.own_services.pop(name, None)
    if change.kind != "remove":
        plugin = supervisor.spec.plugin[name]
        service = plugin_service(supervisor.config_path, name, plugin)
        supervisor.own_services[name] = service
        supervisor.add_runner(name, service).switch_on()


async def _change_service(supervisor: "Supervisor", change: Change) -> Outcome:
    name = change.name
    if change.kind == "remove":
        runner = supervisor.runners[name]
        async with runner.lock:
            outcome = await runner.stop()
        if outcome.ok:
            supervisor.forget_runner(name)
        return outcome
    spec = supervisor.spec.service[name]
    if change.kind == "add":
        added = supervisor.add_runner(name, spec)
        supervisor.start_helpers(added)
        if spec.autostart and not spec.schedule and not spec.on_demand:
            if supervisor.drain.begun:
                supervisor.drain.later(name)
                return Outcome(ok=True)
            return await added.start(spec.ready.start_timeout + 5)
        return Outcome(ok=True)
    runner = supervisor.runners[name]
    async with runner.lock:
        return await _to_spec(supervisor, change, name)


async def _to_spec(supervisor: "Supervisor", change: Change, name: str) -> Outcome:
    runner, spec = supervisor.runners[name], supervisor.spec.service[name]
    scaled = any(d.setting == "processes" for d in change.differences)
    if change.effect == "reload":
        outcome = await runner.replace(spec)
        if outcome.ok and scaled and runner.wanted != spec.processes and not spec.scaling:
            outcome = await runner.scale(spec.processes, None)
        return outcome
    runner.use(spec)
    supervisor.start_helpers(runner)
    if change.effect == "restart" and scaled and spec.processes < runner.wanted:
        await runner.scale(spec.processes, None)  # fewer: before the others are made anew
    outcome = Outcome(ok=True)
    # What people have stopped, and what waits for its hour, is not started by a new file.
    if change.effect == "restart" and runner.on and not supervisor.drain.begun:
        outcome = await runner.restart(None)
    if scaled and outcome.ok and runner.wanted != spec.processes:
        return await runner.scale(spec.processes, None)
    return outcome
