"""An action in turns, on single processes, and on whole servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chapiteau.dash.fleet.action import Target, target_batches
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.run.logs.messages import Outcome
from tests.dash.conftest import dashboard
from tests.support import wait_for_async


def test_so_many_percent_of_the_servers_go_at_a_time() -> None:
    targets = [Target(f"n{n}", name) for n in range(5) for name in ("web", "db")]
    turns = target_batches(targets, 40)
    assert [sorted({t.node for t in turn}) for turn in turns] == [
        ["n0", "n1"],
        ["n2", "n3"],
        ["n4"],
    ]
    assert [t for turn in turns for t in turn] == targets
    assert target_batches(targets, 1) == [targets[i : i + 2] for i in range(0, 10, 2)], (
        "at least one"
    )
    assert target_batches(targets, 100) == [targets]


async def test_the_next_turn_waits_for_the_one_before_and_is_left_out_when_it_fails(
    tmp_path: Path,
) -> None:
    async with dashboard(tmp_path) as house:
        nodes = [_node(house, f"n{n}") for n in range(4)]
        nodes[1].outcome = Outcome(ok=False, error="web is failed")
        await wait_for_async(lambda: all(house.hub.fleet.watch(n.name).status for n in nodes))
        body = {"verb": "restart", "targets": [{"node": n.name, "service": "web"} for n in nodes]}
        done = await _done(house, {**body, "batch": 50})
    results = {t["node"]: t["result"] for t in done["targets"]}
    assert results["n0"]["ok"]
    assert results["n1"]["error"] == "web is failed"
    assert results["n2"] == results["n3"]
    assert (results["n2"]["error"], results["n2"]["hint"]) == (
        "not begun",
        "it failed on n1 before",
    )
    assert [len(n.commands) for n in nodes] == [1, 1, 0, 0]


async def test_one_process_and_a_whole_server(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as house:
        target = {"node": "alpha", "service": "web", "process": 2}
        done = await _done(house, {"verb": "restart", "targets": [target]})
        assert done["lines"] == ["chapiteau restart web --process 2"]
        await _done(house, {"verb": "drain", "targets": [{"node": "alpha", "service": "all"}]})
        watch = house.hub.fleet.watch("alpha")
        await wait_for_async(lambda: watch.status.get("drained"))
        problem = next(t for t in house.hub.fleet.problems(watch) if t.kind == "drained")
        assert problem.cause.startswith("By local.")
        assert [remedy.line for remedy in problem.remedies] == ["chapiteau undrain"]
        assert [c[:3] for c in house.node.commands] == [
            ("restart", "web", {"process": 2}),
            ("drain", "all", {}),
        ]
        assert next(iter(house.hub.store.audit_trail(0)))["verb"] == "drain"


async def test_a_refusal_names_the_hub_that_leads(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as house:
        house.hub.fleet.watch("alpha").overruled = "hub-2 has the lease 'hub'"
        house.node.outcome = Outcome(ok=False, error="another hub steers by now", hint="look")
        done = await _done(
            house, {"verb": "stop", "targets": [{"node": "alpha", "service": "web"}]}
        )
    assert done["targets"][0]["result"]["hint"] == "hub-2 has the lease 'hub'"


def _node(house: Any, name: str) -> MemoryNode:
    made = MemoryNode(name=name, clock=house.hub.clock)
    made.services = [service("web", [process(1, 9)])]
    house.hub.fleet.add(made)
    return made


async def _done(house: Any, body: dict[str, Any]) -> dict[str, Any]:
    async with house.client() as session:
        headers = {"Idempotency-Key": str(body)[:90], "X-Chapiteau": "1"}
        async with session.post("/api/act", json=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
            number = (await answer.json())["number"]
    found = next(a for a in house.hub.actions.recent() if a.number == number)
    await wait_for_async(lambda: found.ended)
    made: dict[str, Any] = found.to_dict()
    return made
