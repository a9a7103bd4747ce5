"""The types of what crosses the hub name the fields that the supervisor really sends."""

from dataclasses import fields
from typing import Any

import pytest

from chapiteau.core.problems import Problem
from chapiteau.dash.fleet.status import (
    NodeStatus,
    ProcessEntry,
    ServiceEntry,
    SocketEntry,
    SupervisorProblem,
)
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SocketStatus, SupervisorStatus
from chapiteau.run.events import Event, EventMessage
from chapiteau.run.logs.messages import LogLine, LogMessage


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        (NodeStatus, SupervisorStatus),
        (ServiceEntry, ServiceStatus),
        (ProcessEntry, ProcessStatus),
        (SocketEntry, SocketStatus),
        (SupervisorProblem, Problem),
    ],
)
def test_every_field_that_the_hub_reads_is_one_that_is_sent(read: Any, sent: Any) -> None:
    assert set(read.__annotations__) <= {one.name for one in fields(sent)}


@pytest.mark.parametrize(("message", "value"), [(EventMessage, Event), (LogMessage, LogLine)])
def test_a_message_of_a_stream_has_the_fields_of_its_value(message: Any, value: Any) -> None:
    assert set(message.__annotations__) == {one.name for one in fields(value)}
