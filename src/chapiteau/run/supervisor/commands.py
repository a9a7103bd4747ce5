"""What can be asked of a service, verb by verb."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from chapiteau.run.config.spec import MAX_PROCESSES
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.states import Trigger
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.signal_numbers import signal_number

__all__ = ["COMMANDS", "Command", "merge_outcomes"]

Command = Callable[[ProcessHost, ServiceController, Mapping[str, Any]], Awaitable[Outcome]]


def _limit(options: Mapping[str, Any]) -> float | None:
    value = options.get("timeout")
    return float(value) if value else None


async def _scale(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    count = options.get("processes")
    wanted = runner.wanted + int(options.get("by", 0)) if count is None else int(count)
    if wanted < 0:
        return Outcome(ok=False, error=f"{runner.name}: fewer than 0 processes", exit_code=2)
    if wanted > MAX_PROCESSES:
        error = f"{runner.name}: {wanted} processes are more than {MAX_PROCESSES}"
        return Outcome(ok=False, error=error, exit_code=2)
    if runner.spec.one_shot and wanted > 1:
        return Outcome(
            ok=False, error=f"{runner.name} is a one-shot: it has one process", exit_code=4
        )
    return await runner.scale(wanted, _limit(options))


async def _signal(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    try:
        number = signal_number(str(options.get("signal", "")))
    except ValueError as exc:
        return Outcome(ok=False, error=str(exc), exit_code=2)
    process = int(options.get("process", 0))
    met = [i for i in runner.instances() if process in (0, i.number)]
    if not met:
        return Outcome(ok=False, error=f"{runner.name}: no such process runs", exit_code=3)
    whole = bool(options.get("whole"))
    kept_back = await asyncio.gather(
        *(ground.deliver(i, runner.spec, number, whole=whole) for i in met)
    )
    if why := next(filter(None, kept_back), ""):
        error = f"{runner.name}: signal {number} was not sent to {sum(map(bool, kept_back))}: {why}"
        return Outcome(ok=False, error=error, exit_code=4)
    return Outcome(ok=True, text=f"{runner.name}: signal {number} sent to {len(met)}")


async def _stop(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    if number := int(options.get("process", 0)):
        return await runner.one(number, Trigger.STOP_ASKED, _limit(options))
    return await runner.stop(_limit(options))


async def _restart(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    if number := int(options.get("process", 0)):
        return await runner.one(number, Trigger.CYCLE_ASKED, _limit(options))
    return await runner.restart(_limit(options))


async def _reload(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    number = int(options.get("process", 0))
    if runner.spec.reload_signal and runner.on:
        to = {"process": number} if number else {}
        return await _signal(ground, runner, {"signal": runner.spec.reload_signal, **to})
    if number:
        return await runner.renew(number)
    return await runner.replace(None, _limit(options))


async def _reopen(
    ground: ProcessHost, runner: ServiceController, options: Mapping[str, Any]
) -> Outcome:
    ground.reopen_logs()
    return Outcome(ok=True, text=f"{runner.name}: log files reopened")


COMMANDS: Final[dict[str, Command]] = {
    "start": lambda _, runner, options: runner.start(_limit(options)),
    "stop": _stop,
    "restart": _restart,
    "reload": _reload,
    "scale": _scale,
    "signal": _signal,
    "reopen": _reopen,
    "renew": lambda _, runner, options: runner.renew(int(options.get("process", 1))),
}


def merge_outcomes(results: dict[str, Outcome]) -> Outcome:
    """One answer for several services: partial failure is shown as such."""
    if len(results) == 1:
        return next(iter(results.values()))
    bad = {name: o for name, o in results.items() if not o.ok}
    data = {"services": {name: o.to_dict() for name, o in results.items()}}
    good = "\n".join(o.text for o in results.values() if o.ok)
    if not bad:
        return Outcome(ok=True, text=good, data=data)
    code = 7 if len(bad) < len(results) else next(iter(bad.values())).exit_code
    errors = "\n".join(o.error for o in bad.values())
    hint = next((o.hint for o in bad.values() if o.hint), "")
    return Outcome(ok=False, text=good, error=errors, hint=hint, exit_code=code, data=data)
