"""Circus's protocol as values: requests, matching, topics."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import read
from chapiteau.migrate.circus.protocol import (
    CircusError,
    Published,
    Request,
    changes_of,
    publications,
    read_request,
    select_watchers,
    settings_of,
    watcher_options,
)
from chapiteau.run.config.plugin_rules import plugin_rules
from chapiteau.run.config.plugin_settings import CircusOptions
from chapiteau.run.config.spec import Plugin
from chapiteau.run.events import KINDS, Event

NAMES = ["Web", "worker.1", "worker.2"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"command": JSON, "properties": JSON, "id": JSON}))
def test_any_json_is_a_request_or_a_numbered_error(raw: Any) -> None:
    try:
        found: Request | int = read_request(raw)
    except CircusError as exc:
        found = exc.number
    assert isinstance(found, Request) or found == 1


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ({}, NAMES),
        ({"name": "web"}, ["Web"]),
        ({"name": "WORKER.*"}, ["worker.1", "worker.2"]),
        ({"name": "worker.1", "match": "simple"}, ["worker.1"]),
        ({"name": "w.*2$", "match": "regex"}, ["worker.2"]),
    ],
)
def test_names_are_matched_as_circus_does(properties: dict[str, str], names: list[str]) -> None:
    assert select_watchers(Request(id=1, command="stop", properties=properties), NAMES) == names


@pytest.mark.parametrize(
    "properties",
    [{"name": "no"}, {"name": "[", "match": "regex"}, {"name": "web", "match": "soundex"}],
)
def test_what_matches_nothing_is_an_error(properties: dict[str, str]) -> None:
    with pytest.raises(CircusError):
        select_watchers(Request(id=1, command="stop", properties=properties), NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_has_a_topic_of_three_parts_or_none(kind: str) -> None:
    event = Event(seq=1, time=5.0, kind=kind, service="My App.1", pid=7, data={"signal": 9})
    for topic, body in publications(event):
        assert topic.startswith("watcher.my_app_1.")
        assert topic.count(".") == 2
        assert body.time == 5.0
        if topic.endswith(".reap"):
            assert (body.process_pid, body.exit_code) == (7, -9)


def test_a_changed_configuration_gives_add_and_remove() -> None:
    assert list(changes_of(["a", "b"], ["b", "c"], 1.0)) == [
        ("watcher.c.add", Published(time=1.0)),
        ("watcher.a.remove", Published(time=1.0)),
    ]


def test_options_leave_secrets_out() -> None:
    service = {
        "command": ["sleep", "a b"],
        "env": {"A": "1", "PASSWORD": {"file": "secret", "env": ""}},
        "stop_signal": "INT",
    }
    options = watcher_options(service, wanted=3, folder="/srv", signals={"SIGINT": 2})
    assert options["env"] == {"A": "1"}
    assert (options["cmd"], options["numprocesses"], options["stop_signal"]) == (
        "sleep 'a b'", 3, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "fine"),
    [
        ("ipc://run/x", True),
        ("ipc://", False),
        ("tcp://127.0.0.1:5555", True),
        ("tcp://[::1]:5555", True),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://*:5555", False),
        ("tcp://example.org:1", False),
        ("inproc://x", False),
        ("nonsense", False),
    ],
)
def test_only_private_endpoints_are_taken(endpoint: str, fine: bool) -> None:
    options = {"endpoint": endpoint, "allow_tcp": True}
    assert read(CircusOptions, options)[1] == []
    plugin = Plugin(use="circus", options=options)
    assert (list(plugin_rules({"c": plugin}, ())) == []) is fine


def test_what_circusctl_sets_are_settings_of_ours() -> None:
    given = {"cmd": "sleep 1", "graceful_timeout": 3, "max_retry": "9", "stop_signal": 9}
    assert settings_of({**given, "respawn": False, "send_hup": True, "env": {"A": 1}}) == {
        "command": "sleep 1",
        "stop_timeout": "3s",
        "restart.attempts": 9,
        "stop_signal": "9",
        "restart.policy": "never",
        "reload_signal": "HUP",
        "env.A": "1",
    }
    for wrong in ({"warmup_delay": 1}, {"numprocesses": "x"}):
        with pytest.raises(CircusError, match=r"warmup_delay|invalid literal"):
            settings_of(wrong)


def test_a_signal_that_was_set_by_its_number_is_shown_by_it() -> None:
    made = watcher_options({"stop_signal": "9"}, wanted=1, folder="/", signals={"SIGTERM": 15})
    assert made["stop_signal"] == 9
