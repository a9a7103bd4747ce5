"""Commands on one service run one after the other, and their deadlines count that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow
_FAR = 30.0  # seconds: nobody waits so long but a command without a deadline


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
