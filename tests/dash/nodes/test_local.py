"""The node below our feet, against the real control API with a supervisor in memory behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.nodes.local import LocalNode
from chapiteau.io.clock import SystemClock
from chapiteau.io.unix_http import control_path
from chapiteau.run.testing import MemorySupervisor, control_server


async def test_status_commands_events_and_lines_come_through(tmp_path: Path) -> None:
    supervisor = MemorySupervisor({"web": 2}, clock=SystemClock())
    async with control_server(supervisor, control_path(tmp_path)):
        node = LocalNode("here", tmp_path, SystemClock())
        assert [s["name"] for s in (await node.status())["services"]] == ["web"]
        outcome = await node.command("scale", "web", {"processes": 3}, "dash:ana")
        assert outcome.ok is True
        assert (await node.status())["services"][0]["wanted"] == 3
        supervisor.happen("service.scaled", service="web", text="2 → 3")
        event = await anext(node.events(0))
        assert event["service"] == "web"
        supervisor.say("web", "hello")
        line = await anext(node.logs({"service": "web", "last": "10"}))
        assert line["text"] == "hello"
        refused = await node.command("stop", "wbe", {}, "dash:ana")
        assert refused.ok is False


async def test_nobody_there_is_an_away_node(tmp_path: Path) -> None:
    node = LocalNode("here", tmp_path, SystemClock())
    with pytest.raises(NodeAwayError, match="here"):
        await node.status()
    with pytest.raises(NodeAwayError):
        await anext(node.events(0))
