"""The brain after three that crashed within a minute: it looks and answers, and does nothing.

Whatever made them crash is likely to be met again by who does the same. So services run on, their
output is written, everybody sees what there is; nothing is started, ended, restarted or tried.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from chapiteau.run.config.spec import Service, Spec
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.notify import NotifyHandler
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["ReadOnlySupervisor"]

_PATIENCE: Final = 300.0  # seconds until a brain that acts is tried again
_HARMLESS: Final = ("signal", "reopen")
_HINT: Final = "`chapiteau run upgrade` lets it act again, `chapiteau down` ends everything"


class ReadOnlySupervisor(Supervisor):
    """A supervisor in safe mode; only the end of everything it brings about as ever."""

    def __init__(
        self, spec: Spec, config_path: Path, run_dir: Path, link: KeeperLink, why: str
    ) -> None:
        super().__init__(spec, config_path, run_dir, link)
        self.only_looks = why
        self._quiet = _Quiet(link, self.spawner, self.output, self.events_log, self.clock)
        self.ground = self._quiet

    async def begin(self, only: tuple[str, ...] = ()) -> None:
        """Attach and look; after a while leave, for a brain that acts."""
        await super().begin(only)
        if self._notify is not None:
            self._notify.on_message = _Hearing(self.ground, self.store).heard
        if not self.ending.begun:
            data = {"until": self.clock.wall() + _PATIENCE}
            self.ground.say("supervisor.safe_mode", f"{self.only_looks}; {_HINT}", data=data)
            asyncio.get_running_loop().call_later(_PATIENCE, self._leave)

    def _leave(self) -> None:
        if not self.ending.begun:
            os._exit(0)  # ends that were not judged are the keeper's: the next brain judges them

    async def _switch_on(self, only: set[str]) -> None:
        found = self._wanted.found if self._wanted is not None else {}
        for name, runner in self.runners.items():
            runner.on = bool(found.get(name, {}).get("on", runner.on))
            if runner.on and found.get(name, {}).get("completed"):
                runner.restore_completed()

    def start_helpers(self, runner: ServiceController) -> None:
        """None: schedules, watchers and scaling act."""

    def _after_change(self, runner: ServiceController) -> None:
        self._roll.changed(self)

    def asked(self, what: str) -> None:
        """Only the end can be had."""
        if what != "reload":
            self._quiet.acts = True
            super().asked(what)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Refused, but for what changes nothing of ours."""
        if verb in _HARMLESS or self.ending.begun:
            return await super().command(verb, service, options, who)
        return self._refused()

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """A plan can be had."""
        return await super().apply_config(dry_run=True, who=who) if dry_run else self._refused()

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Refused."""
        return self._refused()

    async def shutdown(self, who: str, *, force: bool = False) -> None:
        """As ever: processes that end now are taken note of again."""
        self._quiet.acts = True
        await super().shutdown(who, force=force)

    def _refused(self) -> Outcome:
        error = f"the supervisor only looks (safe mode): {self.only_looks}"
        return Outcome(ok=False, error=error, hint=_HINT, exit_code=4)


class _Quiet(ProcessHost):
    """Watches no health, and leaves what ends to the brain that comes after."""

    acts = False  # whether the end of everything has begun

    def watch(self, instance: Process, spec: Service, slot: Replica) -> None:
        """No probe, no limit of time."""
        instance.forget_timers()
        memo = {"ready": True}
        instance.on_ready = lambda: self._link.tell("memo", key=instance.key, memo=memo)
        self.claim(instance, slot)

    def ended(self, key: str, end: dict[str, Any]) -> None:
        """Shown, but neither judged nor acknowledged: the keeper tells it to the next brain."""
        instance, slot = self.by_key.get(key, (None, None))
        if self.acts or instance is None or slot is None:
            super().ended(key, end)
            return
        del self.by_key[key]
        self._output.drain(key)
        instance.end = end
        instance.forget_timers()
        if instance in slot.retiring:
            slot.retiring.remove(instance)
        elif instance is slot.instance:
            how = f"signal {end['signal']}" if end["signal"] is not None else f"exit {end['code']}"
            slot.instance, slot.state = None, State.DOWN
            slot.reason = f"ended ({how}) in safe mode: nobody restarts it"
        slot.changed()


class _Hearing(NotifyHandler):
    """Begins no watch and grants no time: what comes of them are deeds."""

    def _of_life(self, instance: Process, slot: Replica, values: dict[str, str]) -> None:
        if values.get("READY") == "1":
            slot.became_ready(instance)
