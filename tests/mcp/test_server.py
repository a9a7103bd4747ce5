"""The official client, over a real pipe, in front of the real control server."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters

from chapiteau.io.unix_http import control_path
from chapiteau.mcp.tools import KEPT_BACK, tools
from chapiteau.run.api.calls import CALLS
from chapiteau.run.testing import MemorySupervisor, control_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def over_stdio(folder: Path, *options: str, **more: Any) -> AsyncIterator[Client]:
    words = ["-m", "chapiteau", "mcp", "-c", str(folder / "chapiteau.toml"), *options]
    started = StdioServerParameters(command=sys.executable, args=words, cwd=str(folder))
    async with Client(started, **more) as client:
        yield client


@contextlib.asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[MemorySupervisor]:
    (folder / "chapiteau.toml").write_text('[service.web]\ncmd = "sleep 1"\n')
    run_dir = folder / ".chapiteau"
    run_dir.mkdir(mode=0o700)
    supervisor = MemorySupervisor({"web": 2, "worker": 1})
    path = control_path(run_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    async with control_server(supervisor, path):
        yield supervisor


async def ask(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    made = await client.call_tool(name, arguments)
    assert json.loads(made.content[0].text) == made.structured_content  # type: ignore[union-attr]
    return {**made.structured_content, "failed": made.is_error}


async def test_a_viewer_sees_state_output_events_plan_and_problems(tmp_path: Path) -> None:
    async with supervised(tmp_path) as supervisor, over_stdio(tmp_path) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {
            "problems", "status", "services", "service", "holders", "plan", "events", "logs"
        }  # fmt: skip

        supervisor.say("web", "all is well")
        supervisor.say("worker", "ERROR disk is full")
        supervisor.happen("service.failed", service="worker", text="worker is down")
        supervisor.running["worker"] = 0
        supervisor.changes = [{"what": "web: processes 2 → 3"}]

        found = await ask(client, "logs", grep="disk")
        assert [line["text"] for line in found["lines"]] == ["ERROR disk is full"]
        assert [e["kind"] for e in (await ask(client, "events"))["events"]] == ["service.failed"]
        assert (await ask(client, "service", service="web"))["ready"] == 2
        assert (await ask(client, "plan"))["data"]["changes"] == supervisor.changes
        assert len((await ask(client, "status"))["services"]) == 2
        assert "problems" in await ask(client, "problems")
        assert supervisor.commands == []


async def test_what_is_wrong_is_an_answer_that_says_so(tmp_path: Path) -> None:
    async with supervised(tmp_path), over_stdio(tmp_path) as client:
        wrong = await ask(client, "logs", last=0, until="yesterday-ish", colour="red")
        assert wrong["failed"]
        assert "last" in wrong["error"]
        assert "colour" in wrong["error"]
        assert (await ask(client, "logs", grep="("))["failed"]
        assert (await ask(client, "restart", service="web"))["error"] == "no tool 'restart'"
        assert (await ask(client, "service", service="wep"))["hint"] == "did you mean 'web'?"


async def test_without_a_supervisor_it_says_how_to_start_one(tmp_path: Path) -> None:
    (tmp_path / "chapiteau.toml").write_text('[service.web]\ncmd = "sleep 1"\n')
    async with over_stdio(tmp_path) as client:
        assert "chapiteau up" in (await ask(client, "status"))["hint"]


def test_every_call_is_a_tool_or_is_kept_back_for_a_reason() -> None:
    assert {tool.name for tool in tools("admin")} - {"problems"} == {
        call.name for call in CALLS
    } - set(KEPT_BACK)
