"""Which NATS servers are refused, and why; names of subjects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.nodes.nats.names import (
    NatsNames,
    NatsServerInfo,
    server_problems,
    subject_token,
    url_problems,
)

GOOD: dict[str, Any] = {"jetstream": {"config": {"sync_always": True}}}


def why(**facts: Any) -> list[str]:
    given_facts = {"version": "2.15.1", "jetstream": True, "varz": GOOD, **facts}
    return [problem.what for problem in server_problems(NatsServerInfo(**given_facts))]


def test_a_server_that_syncs_before_it_acknowledges_is_taken() -> None:
    assert why() == []
    assert why(version="2.10.23", storage={"A": "file"}) == []
    assert why(version="3.0.0-RC.1") == []


def test_each_reason_is_told_and_all_at_once() -> None:
    assert "crashes" in why(version="2.9.10")[0]
    assert "crashes" in why(version="2.10.22")[0]
    assert "JetStream is off" in why(jetstream=False)[0]
    assert "does not show" in why(varz=None)[0]
    lazy = {"jetstream": {"config": {"sync_interval": 120_000_000_000}}}
    assert "every 120 s" in why(varz=lazy)[0]
    assert "every 120 s" in why(varz={})[0]
    assert why(storage={"X_EVENTS": "memory"}) == ["keeps X_EVENTS in memory"]
    assert len(why(version="2.9.10", varz=lazy, storage={"X": "memory"})) == 3


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("nats://127.0.0.1:4222", True),
        ("nats://localhost", True),
        ("nats://[::1]:4222", True),
        ("tls://nats.example.org:4222, tls://b.example.org", True),
        ("tls://me:word@nats.example.org:4222", True),
        ("nats://nats.example.org:4222", False),
        ("nats://127.0.0.1:4222,nats://10.0.0.7:4222", False),
        ("http://127.0.0.1", False),
        ("nats://", False),
        ("127.0.0.1:4222", False),
        ("", False),
    ],
)
def test_addresses_beyond_this_machine_need_tls(url: str, good: bool) -> None:
    assert (url_problems(url, has_ca=False) == []) is good


def test_a_ca_makes_nats_mean_tls() -> None:
    assert url_problems("nats://nats.example.org:4222", has_ca=True) == []


NODES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)


@given(NODES, NODES)
def test_two_nodes_never_share_a_subject(one: str, other: str) -> None:
    names = NatsNames("fleet.a")
    assert (names.subject("order", one) == names.subject("order", other)) == (one == other)
    assert names.subject("order", one).count(".") == 3
    assert subject_token(one).replace("_", ".") == one


def test_streams_have_no_dots() -> None:
    assert NatsNames("fleet.a").events == "FLEET_A_EVENTS"
