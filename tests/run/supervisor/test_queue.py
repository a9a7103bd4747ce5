"""Commands on one service run one after the other, and their deadlines count that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from chapiteau.core.fields import read
from chapiteau.run.config.spec import Service
from chapiteau.run.supervisor import commands
from chapiteau.run.supervisor.commands import default_timeout
from chapiteau.run.supervisor.services import Services
from tests.run.lives import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

_FAR = 30.0  # seconds: nobody waits so long but a command without a deadline


def spec(**settings: Any) -> Service:
    made, problems = read(Service, {"command": "x", **settings})
    assert made is not None, problems
    return made


@pytest.mark.parametrize(
    ("verb", "settings", "processes", "seconds"),
    [
        pytest.param("start", {}, 1, 600, id="ten minutes"),
        pytest.param("signal", {}, 1, 60, id="a minute for what takes no time"),
        pytest.param("reopen", {}, 1, 60, id="logs too"),
        pytest.param(
            "reload", {"ready": {"start_timeout": "90s"}, "stop_timeout": "10s"}, 10, 1000,
            id="a reload: each process may take as long as its settings say",
        ),
        pytest.param(
            "reload",
            {"ready": {"start_timeout": "90s"}, "stop_timeout": "10s", "drain": "20s",
             "canary": "1m", "batch": 2},
            10, 660,
            id="in batches, with a canary before",
        ),
        pytest.param(
            "start", {"hooks": {"before_start": {"run": "x", "timeout": "1h"}}}, 1, 3640,
            id="hooks have their time",
        ),
    ],
)  # fmt: skip
def test_without_a_timeout_a_command_has_what_its_settings_allow(
    verb: str, settings: dict[str, Any], processes: int, seconds: float
) -> None:
    assert seconds == default_timeout(verb, spec(**settings), processes)


@pytest.mark.parametrize("verb", sorted(commands.COMMANDS))
async def test_no_command_queues_for_ever(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_USUAL", 0.01)
    monkeypatch.setattr(commands, "_BRIEF", {})
    quick = spec(ready={"start_timeout": "1ms"}, stop_timeout="1ms")
    services = Services(cast("Any", Host()), *(cast("Any", None),) * 2, cast("Any", Desired()),
                        lambda _service: None)  # fmt: skip
    web = services.add("web", quick)
    await web.lock.acquire()
    late = await services.run(verb, web, {}, "somebody")
    assert (late.ok, late.exit_code) == (False, 6)
    assert f"{verb} was given up after 0.01" in late.error
    web.close()


class Desired:
    """Nothing was wanted before."""

    found: ClassVar[dict[str, Any]] = {}


@pytest.mark.slow
def test_a_command_behind_another_is_given_up_at_its_deadline(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.calm]
        command = "sleep 600"
        [service.web]
        command = "sleep 600"
        autostart = false
        ready = { exec = "false", start_timeout = "10m" }
    """).up()
    assert p.client.command("start", "web", wait=False).ok
    p.until("web", "starting")
    for verb in ("start", "restart", "reload"):
        late = p.client.command(verb, "web", timeout=0.2, answer_within=_FAR)
        assert (late.ok, late.exit_code) == (False, 6)
        assert late.error == f"web: {verb} was given up after 0.2 s behind another command"
        assert "chapiteau stop web" in late.hint
    # What it names as the way out is one, and the next command has its turn.
    assert p.client.command("stop", "web", timeout=20, answer_within=_FAR).ok
    assert p.service("web").state == "stopped"
    alone = p.client.command("start", "web", timeout=0.2, answer_within=_FAR)
    assert (alone.ok, alone.exit_code) == (False, 1)
