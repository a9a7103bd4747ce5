"""What is really started for a service."""

from __future__ import annotations

from typing import Any

import pytest

from chapiteau.run.config.command import BoundSocket, CommandContext, command_of
from chapiteau.run.config.spec import Service

SOCKETS = {"web": BoundSocket(address="127.0.0.1:80", port=80, stored="socket/web")}


def argv(left: tuple[tuple[str, str], ...] = (), **service: Any) -> tuple[str, ...]:
    place = CommandContext(service="s", number=1, python="python", sockets=SOCKETS, left=left)
    return command_of(Service(**service), place).argv


@pytest.mark.parametrize(
    ("service", "by_protocol"),
    [
        ({"command": "gunicorn shop:app", "sockets": ("web",)}, True),
        ({"command": ("gunicorn", "--bind", "fd://${socket.web.fd}"), "sockets": ("web",)}, False),
        ({"command": "uvicorn --fd ${socket.web.fd} a:b", "sockets": ("web",)}, False),
        ({"command": "serve", "env": {"FD": "${socket.web.fd}"}, "sockets": ("web",)}, False),
        ({"command": "serve --port ${socket.web.port}", "sockets": ("web",)}, True),
        ({"command": "echo $${socket.web.fd}", "sockets": ("web",)}, True),
        ({"command": "serve"}, False),
    ],
)
def test_a_program_that_is_told_a_number_does_not_take_the_socket_twice(
    service: dict[str, Any], by_protocol: bool
) -> None:
    """gunicorn adds what LISTEN_FDS tells to what `--bind fd://3` says, and fails over it."""
    assert any("LISTEN_PID" in word for word in argv(**service)) == by_protocol


def test_what_an_earlier_life_has_left_is_found_by_the_protocol_alone() -> None:
    left = (("store/1", "cache"),)
    assert any("LISTEN_PID" in word for word in argv(left, command="x ${socket.web.fd}"))
