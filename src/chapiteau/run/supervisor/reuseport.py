"""reuse_port: each process number has a listening socket of its own on the same port.

The kernel deals connections out to all that listen, so a number's socket listens only while the
number has, or is about to have, a process: connections dealt to any other would wait for ever.
Number 1 has the socket that is bound first; it holds the port, whoever runs.

What waits in a socket is lost when that closes. So before a number ends for good, new connections
go to the others (`select_sockets`), and its process has a moment to take those that
wait.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.command import BoundSocket
from chapiteau.run.config.spec import Service
from chapiteau.run.errors import KeeperGoneError, SpawnError
from chapiteau.run.process.states import State
from chapiteau.run.system.sockets import accept_queue_length, bind_socket

if TYPE_CHECKING:
    from chapiteau.run.process.replica import Replica
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["ReusePortSockets", "order_without", "select_sockets"]


# To which of the sockets that share a port (SO_REUSEPORT) the kernel deals new connections.
#
# By itself it deals to all that listen. A program for its old packet filter chooses otherwise
# (socket(7), SO_ATTACH_REUSEPORT_CBPF): it answers with the place of a socket in the order in which
# they began to listen. When one of them closes, the last one takes its place. A place that is not
# there is no error: the kernel then chooses as ever. None of this needs privileges.

_ATTACH, _DETACH = 51, 68  # SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF
_RANDOM: Final = 0xFFFFF038  # SKF_AD_OFF + SKF_AD_RANDOM: where the filter finds chance
_LOAD, _MODULO, _IS, _RETURN = 0x20, 0x94, 0x15, 0x06  # <linux/bpf_common.h>


def select_sockets(one: socket.socket, places: Sequence[int]) -> None:
    """Deal to these places alone, each as often; to all when there are none.

    `one` is any socket of the port. A kernel that can't goes on as it was.
    """
    with contextlib.suppress(OSError):
        if not places:
            one.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            return
        code = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(places))]
        for index, place in enumerate(places):
            code += [(_IS, 0, 1, index), (_RETURN, 0, 0, place)]
        code.append((_RETURN, 0, 0, places[0]))
        import ctypes

        words = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *word) for word in code))
        program = struct.pack("HL", len(code), ctypes.addressof(words))
        one.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


def order_without(order: Sequence[int], gone: int) -> list[int]:
    """The order after this one has closed."""
    rest = [number for number in order if number != gone]
    if gone in order[:-1]:
        rest.insert(order.index(gone), rest.pop())
    return rest


_STEP = 0.05  # seconds: for handshakes that are under way, and between two looks at a queue
_STEPS = 20  # … after which a process ends whatever waits for it


class ReusePortSockets:
    """The sockets of the numbers from 2 on; ours are copies of the keeper's."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._held: dict[tuple[str, int], socket.socket] = {}
        self._order: dict[str, list[int]] = {}  # numbers, as the kernel has their sockets
        self._leaving: set[tuple[str, int]] = set()  # nothing is dealt to these
        self._closing: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._dealt: dict[str, list[int]] = {}  # to which places, when not to all
        self._one_by_one = asyncio.Lock()

    async def restore(self, stored: list[str]) -> None:
        """What brains before us have bound."""
        for key in stored:
            kind, _, rest = key.partition("/")
            name, _, number = rest.rpartition("/")
            if kind == "socket" and name in self._supervisor.spec.socket:
                fd = await self._supervisor.link.fetch(key)
                if fd is not None:
                    self._know(name, int(number), socket.socket(fileno=fd))
                    noted = self._supervisor.link.notes.get(f"order/{name}")
                    self._order[name] = noted if isinstance(noted, list) else []

    async def provide(self, service: Service, number: int) -> None:
        """Before process `number` starts: bind what it needs and has not. Raises SpawnError."""
        supervisor = self._supervisor
        for name in service.sockets:
            if (closing := self._closing.get((name, number))) is not None:
                await closing
            self._leaving.discard((name, number))
            self._deal(name)
        for name in service.sockets if number > 1 else ():
            spec = supervisor.spec.socket.get(name)
            fact = supervisor.around.sockets.get(name)
            if spec is None or fact is None or not spec.reuse_port or (name, number) in self._held:
                continue
            same = type(spec)(**{**asdict(spec), "port": fact.port})
            try:
                made = bind_socket(name, same, supervisor.config_path.parent)
            except ChapiteauError as exc:
                raise SpawnError(exc.what, hint=exc.hint) from exc
            self._know(name, number, made)
            self._now_in_order(name, [*self._order.get(name, [1]), number])
            await supervisor.link.store(_key(name, number), made.fileno())

    def _know(self, name: str, number: int, made: socket.socket) -> None:
        self._held[name, number] = made
        fact = self._supervisor.around.sockets[name]
        self._supervisor.around.per_process[name, number] = BoundSocket(
            address=fact.address, port=fact.port, stored=_key(name, number)
        )

    async def leave(self, service: Service, numbers: Iterable[int]) -> None:
        """These numbers are about to end for good: what waits for them is taken first."""
        names = [name for name in service.sockets if name in self._order]
        going = {(name, number) for number in numbers for name in names}
        going = {key for key in going if sum(self._needed(*key)) == 1}  # and not another service's
        if not going:
            return
        self._leaving |= going
        for name in {name for name, _ in going}:
            self._deal(name)
        for _ in range(_STEPS):
            await asyncio.sleep(_STEP)
            if not any(accept_queue_length(self._held[key]) for key in going & self._held.keys()):
                return

    def look(self) -> None:
        """Something has changed: numbers that nobody runs under listen no more."""
        for name, number in list(self._held):
            if not any(self._needed(name, number)):
                self._drop(name, number)
        for name in self._order:
            if not any(self._needed(name, 1)):
                self._leaving.add((name, 1))
            self._deal(name)

    def _needed(self, name: str, number: int) -> Iterator[bool]:
        for runner in self._supervisor.runners.values():
            slot = runner.slots.get(number) if name in runner.spec.sockets else None
            yield slot is not None and not _rests(slot)

    def forget(self, name: str) -> None:
        """The socket is closed, or another has taken its name."""
        for owner, number in list(self._held):
            if owner == name:
                self._supervisor.link.tell("drop", name=_key(name, number))
                self._supervisor.around.per_process.pop((name, number), None)
                self._held.pop((name, number)).close()
        self._leaving = {key for key in self._leaving if key[0] != name}
        self._dealt.pop(name, None)
        if self._order.pop(name, None) is not None:
            self._supervisor.link.tell("note", name=f"order/{name}", value=None)

    def _drop(self, name: str, number: int) -> None:
        key = name, number
        self._supervisor.around.per_process.pop(key, None)
        self._held.pop(key).close()
        self._leaving.add(key)
        self._deal(name)
        self._closing[key] = asyncio.ensure_future(self._close(name, number))

    async def _close(self, name: str, number: int) -> None:
        """The keeper's copy is the last one; meanwhile only places are dealt to that stay."""
        async with self._one_by_one:
            before = self._order.get(name, [])
            after = order_without(before, number)
            self._deal(name, after)
            with contextlib.suppress(
                KeeperGoneError
            ):  # its successor is not told of what we dropped
                await self._supervisor.link.ask("drop", name=_key(name, number))
            self._closing.pop((name, number), None)
            self._leaving.discard((name, number))
            self._now_in_order(name, after)

    def _now_in_order(self, name: str, order: list[int]) -> None:
        self._order[name] = order
        self._supervisor.link.tell("note", name=f"order/{name}", value=order)
        self._deal(name)

    def _deal(self, name: str, soon: list[int] | None = None) -> None:
        """Let the kernel deal to those who take; `soon`: the order that there will be."""
        order, bound = self._order.get(name, []), self._supervisor.bound.get(name)
        if bound is None or bound.type != socket.SOCK_STREAM:
            return
        after = order if soon is None else soon
        places = [
            place
            for place, (number, later) in enumerate(zip(order, after, strict=False))
            if number == later and (name, number) not in self._leaving
        ]
        places = [] if len(places) == len(order) else places
        if places != self._dealt.get(name, []):
            self._dealt[name] = places
            select_sockets(bound, places)

    def queued(self, name: str) -> int:
        """How many connections wait in the socket of this name, or in all that share its port."""
        first = self._supervisor.bound.get(name)
        return sum(map(accept_queue_length, (*self.of(name), *([first] if first else ()))))

    def of(self, name: str) -> list[socket.socket]:
        """Further sockets of this name."""
        return [made for (owner, _), made in self._held.items() if owner == name]

    def held(self) -> Iterator[tuple[str, int]]:
        """(the keeper's key, our copy) of everything."""
        for (name, number), made in self._held.items():
            yield _key(name, number), made.fileno()


def _rests(slot: "Replica") -> bool:
    """Nothing runs under this number, and nothing will by itself."""
    return slot.quiet and slot.state in (State.DOWN, State.FAILED, State.COMPLETED)


def _key(name: str, number: int) -> str:
    return f"socket/{name}/{number}"
