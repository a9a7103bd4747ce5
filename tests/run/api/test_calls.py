"""The table of calls: what it promises of the supervisor, the roles and the hub."""

import inspect

import pytest

from chapiteau.run.api.calls import CALLS
from chapiteau.run.api.commands import COMMANDS, node_commands
from chapiteau.run.supervisor.commands import COMMANDS as EFFECTS
from chapiteau.run.supervisor.safe_mode import ReadOnlySupervisor
from chapiteau.run.supervisor.supervisor import Supervisor
from chapiteau.run.testing import MemorySupervisor

# What the server calls, and with how many arguments.
METHODS = {
    "status": (0, ()),
    "services": (0, ()),
    "config": (0, ()),
    "stats": (0, ()),
    "holders": (1, ()),
    "screen": (2, ()),
    "events": (1, ("follow",)),
    "logs": (1, ()),
    "command": (4, ()),
    "configure": (4, ()),
    "enter": (4, ()),
    "message": (4, ()),
    "apply_config": (0, ("dry_run", "who")),
    "upgrade": (1, ()),
    "shutdown": (1, ("force",)),
}


@pytest.mark.parametrize("kind", [Supervisor, ReadOnlySupervisor, MemorySupervisor])
@pytest.mark.parametrize("name", METHODS)
def test_a_supervisor_has_what_the_server_calls(kind: type, name: str) -> None:
    count, keywords = METHODS[name]
    signature = inspect.signature(getattr(kind, name))
    signature.bind(None, *range(count), **dict.fromkeys(keywords))


def test_whatever_changes_something_needs_more_than_a_viewer() -> None:
    reading = {call.name for call in CALLS if call.role == "viewer"}
    assert reading == {
        "ping", "openapi", "status", "services", "service", "screen", "holders", "plan", "events",
        "logs", "stats", "metrics",
    }  # fmt: skip
    assert {call.name for call in CALLS if call.method == "POST"} & reading == {"plan"}


def test_a_name_is_one_call() -> None:
    assert len({call.name for call in CALLS}) == len(CALLS)


def test_a_hub_may_ask_commands_only() -> None:
    assert set(node_commands()) == set(COMMANDS) - {"reopen"}
    assert node_commands("node") == ("drain", "undrain")


def test_the_supervisor_knows_every_command() -> None:
    assert set(COMMANDS) <= {*EFFECTS, "drain", "undrain"}
