"""To whom the kernel deals connections, as it really does."""

from __future__ import annotations

import contextlib
import socket

from chapiteau.run.process.sockets import order_without, select_sockets


def listening(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen(512)
    made.setblocking(False)
    return made


def dealt(sockets: dict[int, socket.socket]) -> set[int]:
    """The numbers of those that got one of sixty connections."""
    address = next(iter(sockets.values())).getsockname()
    found = set()
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(address))
        for number, one in sockets.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.accept()[0].close()
                    found.add(number)
    return found


def test_connections_go_where_they_are_dealt_over_ends_and_beginnings() -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(listening())
        port = first.getsockname()[1]
        sockets = {1: first} | {n: stack.enter_context(listening(port)) for n in (2, 3, 4)}
        order = [1, 2, 3, 4]
        assert dealt(sockets) == {1, 2, 3, 4}
        select_sockets(first, [order.index(2), order.index(4)])
        assert dealt(sockets) == {2, 4}
        sockets.pop(2).close()
        order = order_without(order, 2)
        select_sockets(first, [order.index(3)])
        assert dealt(sockets) == {3}
        sockets[5] = stack.enter_context(listening(port))
        order.append(5)
        select_sockets(first, [order.index(5)])
        assert dealt(sockets) == {5}
        select_sockets(first, [])
        assert dealt(sockets) == {1, 3, 4, 5}


def test_the_last_one_takes_the_place_of_one_that_closes() -> None:
    assert order_without([1, 2, 3, 4], 2) == [1, 4, 3]
    assert order_without([1, 2], 2) == [1]
    assert order_without([1], 1) == []
    assert order_without([1, 2], 7) == [1, 2]
