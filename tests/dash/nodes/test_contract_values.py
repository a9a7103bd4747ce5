"""Orders, wishes and what leads from a status to a wish."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.nodes.contract import (
    DesiredServices,
    NodeCommand,
    check_command,
    drift,
    parse_desired,
    reconcile_steps,
)
from chapiteau.dash.testing import process, service


def order(**more: Any) -> NodeCommand:
    return NodeCommand(**{"id": "a", "verb": "stop", "service": "web", **more})


def test_what_a_node_refuses_before_it_begins() -> None:
    check_command(order(), 0)
    check_command(order(fence=4), 4)
    with pytest.raises(NotAllowedError, match="expired"):
        check_command(order(ttl=0.0), 0)
    with pytest.raises(NotAllowedError, match="no command"):
        check_command(order(verb="apply"), 0)
    with pytest.raises(NotAllowedError, match="another hub is the leader"):
        check_command(order(fence=3), 4)


@given(st.builds(order, ttl=st.floats(0, 1e6), fence=st.integers(0, 1 << 40)))
def test_an_order_survives_its_journey(one: NodeCommand) -> None:
    assert msgspec.json.decode(msgspec.json.encode(one), type=NodeCommand) == one


WISHES = st.fixed_dictionaries(
    {}, optional={"processes": st.integers(0, 20), "running": st.booleans()}
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), WISHES, max_size=4))
def test_a_wish_survives_its_journey(services: dict[str, Any]) -> None:
    wanted = DesiredServices(node="n", generation=3, services=services, who="ana")
    assert DesiredServices.from_json(msgspec.json.decode(msgspec.json.encode(wanted))) == wanted


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"web": 3},
        {"": {}},
        {"web": {"processes": -1}},
        {"web": {"processes": True}},
        {"web": {"processes": 10_001}},
        {"web": {"running": 1}},
        {"web": {"command": "rm"}},
        {f"s{n}": {} for n in range(1001)},
    ],
)
def test_wishes_that_can_not_be(raw: object) -> None:
    with pytest.raises(BadRequestError):
        parse_desired(raw)


def status(**states: tuple[str, int]) -> dict[str, Any]:
    """name → (state, wanted)"""
    return {
        "services": [
            service(name, [process(n, n) for n in range(1, count + 1)], state=state)
            for name, (state, count) in states.items()
        ]
    }


@pytest.mark.parametrize(
    ("wish", "now", "verbs"),
    [
        ({"processes": 2}, ("running", 2), []),
        ({"processes": 4}, ("running", 2), ["scale"]),
        ({"processes": 4}, ("stopped", 2), ["scale", "start"]),
        ({"processes": 2}, ("stopped", 2), ["start"]),
        ({"processes": 2, "running": False}, ("stopped", 2), []),
        ({"processes": 4, "running": False}, ("running", 2), ["stop"]),
        ({"running": True}, ("stopped", 2), ["start"]),
        ({"running": True}, ("backoff", 2), []),
        ({"running": False}, ("running", 2), ["stop"]),
        ({"processes": 0}, ("running", 2), ["scale"]),
        ({}, ("running", 2), []),
        ({}, ("stopped", 2), []),
    ],
)
def test_what_leads_to_a_wish(wish: Any, now: tuple[str, int], verbs: list[str]) -> None:
    wanted = DesiredServices(node="n", generation=1, services={"web": wish})
    assert [verb for _, verb, _ in reconcile_steps(wanted, status(web=now))] == verbs
    assert bool(drift(wanted, status(web=now))) == bool(verbs)


def test_drift_is_told_in_words() -> None:
    wanted = DesiredServices(
        node="n",
        generation=1,
        services={"gone": {"processes": 1}, "mailer": {"running": False}, "web": {"processes": 4}},
    )
    assert drift(wanted, status(web=("running", 2), mailer=("running", 1))) == [
        "gone: not declared on this node",
        "mailer: should be stopped",
        "web: expected 4 processes, set 2",
    ]
