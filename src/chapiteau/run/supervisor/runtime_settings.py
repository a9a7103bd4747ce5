"""Settings that people change at run time: applied as a changed file would be, whole or not at all.

They stand on top of the file's until the next `reload` of the file, or until they are given back;
a later brain has them too.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chapiteau.run.config.overrides import ADDED, REMOVED, updated_overrides, with_overrides
from chapiteau.run.config.plan import make_plan
from chapiteau.run.config.selection import select
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.config_applier import ConfigApplier, apply_plan
from chapiteau.run.supervisor.desired_state import save_running_spec

if TYPE_CHECKING:
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["RuntimeSettings", "change_settings", "restore_overrides"]

RuntimeSettings = dict[str, dict[str, Any]]


def restore_overrides(supervisor: "Supervisor", overrides: RuntimeSettings) -> None:
    """What an earlier brain was told; nothing of it when it no longer fits."""
    spec, problems = with_overrides(supervisor.base, overrides)
    if spec is not None and not problems:
        supervisor.spec, supervisor.overrides = spec, overrides


async def change_settings(
    supervisor: "Supervisor",
    pattern: str,
    given: Mapping[str, Any],
    reset: Iterable[str],
    who: str,
) -> Outcome:
    """Other values for services, or with `reset` those of the file again.

    Raises NotFoundError when no service is meant.
    """
    known, back = supervisor.spec.service, tuple(reset)
    if given.get(ADDED) and pattern in {**known, **supervisor.own_services}:
        return Outcome(ok=False, error=f"there is a service {pattern!r} already", exit_code=4)
    names = (pattern,) if given.get(ADDED) else tuple(select(pattern, list(known)))
    overrides = supervisor.overrides
    for name in names:
        if given.get(REMOVED) and name not in supervisor.base.service:
            overrides = updated_overrides(overrides, name, {}, ("*",))  # it was added at run time
        else:
            overrides = updated_overrides(overrides, name, given, back)
    spec, problems = with_overrides(supervisor.base, overrides)
    if spec is None or problems:
        error = "\n".join(str(p) for p in problems)
        return Outcome(ok=False, error=error, hint="nothing was changed", exit_code=2)
    plan = make_plan(supervisor.spec, spec)
    following = ConfigApplier(supervisor, supervisor.spec, spec)
    outcome = await apply_plan(following, plan)
    if not outcome.ok:
        return outcome
    supervisor.overrides = overrides
    save_running_spec(supervisor.run_dir, supervisor.base, overrides)
    if "processes" in given:
        await _rescale(supervisor, names)
    words = {ADDED: "added", REMOVED: "removed"}
    what = ", ".join([*(words.get(k, k) for k in given), *(f"{k} given back" for k in back)])
    for name in names:
        supervisor.ground.say("service.set", what, service=name, who=who,
                              data={"settings": list(given), "reset": list(back)})  # fmt: skip
    return outcome


async def _rescale(supervisor: "Supervisor", names: Iterable[str]) -> None:
    """The wanted number may differ from the setting already, when somebody has scaled."""
    for name in names:
        runner = supervisor.runners[name]
        if runner.wanted != runner.spec.processes:
            async with runner.lock:
                await runner.scale(runner.spec.processes, None)
