"""Bodies that come slowly: together they take no more than the room that there is."""

from __future__ import annotations

import functools
import io
import random

import pytest

from chapiteau.service.server.connection import BodyBudget, BodyBuffer
from chapiteau.service.server.http1 import RefusedRequestError


def read(body: BodyBuffer) -> bytes:
    """All of it."""
    with body.whole() as file:
        return file.read()


def test_a_short_body_stays_in_memory_and_a_long_one_goes_to_a_file() -> None:
    room = BodyBudget()
    short, long = BodyBuffer(room), BodyBuffer(room)
    short.write(b"abc")
    for _ in range(3):
        long.write(b"x" * 500_000)
    assert (room.in_memory, room.on_disk) == (3, 1_500_000)
    assert type(short.whole()) is io.BytesIO
    assert len(read(long)) == 1_500_000
    assert (room.in_memory, room.on_disk) == (0, 0)


def test_many_short_bodies_take_no_more_memory_than_the_room_has() -> None:
    room = BodyBudget(memory=10_000)
    bodies = [BodyBuffer(room) for _ in range(50)]
    for piece in (b"a", b"b", b"c"):
        for body in bodies:
            body.write(piece * 300)
            assert room.in_memory <= 10_000
    assert room.in_memory + room.on_disk == 50 * 900
    for body in bodies:
        assert read(body) == b"a" * 300 + b"b" * 300 + b"c" * 300


def test_a_full_disk_allowance_refuses_the_next_piece() -> None:
    room = BodyBudget(memory=10, disk=100)
    first, second = BodyBuffer(room), BodyBuffer(room)
    first.write(b"x" * 90)
    with pytest.raises(RefusedRequestError) as caught:
        second.write(b"x" * 20)
    assert caught.value.status == 503
    second.close()
    first.write(b"x" * 10)
    assert len(read(first)) == 100


def test_whatever_comes_and_goes_the_room_is_empty_in_the_end() -> None:
    chance, room = random.Random(4), BodyBudget(memory=2_000, disk=50_000)
    open_bodies: list[BodyBuffer] = []
    for _ in range(2_000):
        if open_bodies and chance.random() < 0.4:
            body = open_bodies.pop(chance.randrange(len(open_bodies)))
            (body.close if chance.random() < 0.5 else functools.partial(read, body))()
            continue
        if chance.random() < 0.3:
            open_bodies.append(BodyBuffer(room))
        if open_bodies:
            body = chance.choice(open_bodies)
            try:
                body.write(b"x" * chance.randrange(400))
            except RefusedRequestError:
                open_bodies.remove(body)
                body.close()
        assert 0 <= room.in_memory <= 2_000
        assert 0 <= room.on_disk <= 50_000
    for body in open_bodies:
        body.close()
    assert (room.in_memory, room.on_disk) == (0, 0)
