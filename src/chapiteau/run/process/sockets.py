"""The listening sockets that services share, and those that each process has of its own.

With `reuse_port` each process number has a listening socket on the same port, and the kernel deals
connections out to all that listen. So a number's socket listens only while the number has, or is
about to have, a process. Number 1 has the socket that is bound first; it holds the port.

What waits in a socket is lost when that closes. So before a number ends for good, new connections
go to the others (`select_sockets`), and its process has a moment to take those that wait.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.command import BoundSocket
from chapiteau.run.config.spec import Service, Socket
from chapiteau.run.errors import KeeperGoneError, SpawnError
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.system.sockets import accept_queue_length, bind_socket, socket_address

__all__ = ["Sockets", "order_without", "select_sockets"]

_STEP: Final = 0.05  # seconds: for handshakes under way, and between two looks at a queue
_STEPS: Final = 20  # … after which a process ends whatever waits for it
Users = Callable[[str, int], int]  # (socket, process number) → services that use it there


class Sockets:
    """`bound` and `facts` by name; the keeper holds a copy of each."""

    def __init__(self, link: KeeperLink, folder: Path, emit: Callable[..., None]) -> None:
        self.bound: dict[str, socket.socket] = {}
        self.facts: dict[str, BoundSocket] = {}
        self._specs: dict[str, Socket] = {}
        self._link, self._folder, self._emit = link, folder, emit
        self._own: dict[tuple[str, int], socket.socket] = {}  # of the numbers from 2 on
        self._order: dict[str, list[int]] = {}  # numbers, as the kernel has their sockets
        self._leaving: set[tuple[str, int]] = set()  # nothing is dealt to these
        self._closing: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._dealt: dict[str, list[int]] = {}  # to which places, when not to all
        self._one_by_one = asyncio.Lock()

    # ── shared by all processes ─────────────────────────────────────────────────────────────
    def register(self, name: str, spec: Socket, bound: socket.socket) -> None:
        """Make a bound socket known that the keeper holds already."""
        # Its file status flags stay: services share them, and may have set them.
        address, port = socket_address(bound)
        self.bound[name], self._specs[name] = bound, spec
        self.facts[name] = BoundSocket(address=address, port=port, stored=f"socket/{name}")

    async def add(self, name: str, spec: Socket, bound: socket.socket) -> None:
        """Hand a bound socket to the keeper and make it known."""
        await self._link.store(f"socket/{name}", bound.fileno())
        self.register(name, spec, bound)
        address = self.facts[name].address
        self._emit("socket.bound", f"{name} on {address}", data={"socket": name})

    def take(self, name: str) -> socket.socket | None:
        """No more known under this name; what was bound is the caller's."""
        self.facts.pop(name, None)
        self._specs.pop(name, None)
        return self.bound.pop(name, None)

    def drop(self, name: str) -> socket.socket | None:
        """As `take`, and the keeper lets go of it."""
        self._link.tell("drop", name=f"socket/{name}")
        return self.take(name)

    def respec(self, name: str, spec: Socket) -> None:
        """Other settings of the same socket."""
        self._specs[name] = spec

    def seen_by(self, service: Service, number: int) -> Mapping[str, BoundSocket]:
        """The sockets as process `number` of the service has them."""
        own = {
            name: replace(self.facts[name], stored=_key(name, number))
            for name in service.sockets
            if (name, number) in self._own
        }
        return {**self.facts, **own} if own else self.facts

    def all_of(self, name: str) -> list[socket.socket]:
        """The socket of this name, and those that share its port."""
        first = [self.bound[name]] if name in self.bound else []
        return first + [made for (owner, _), made in self._own.items() if owner == name]

    def queued(self, name: str) -> int:
        """How many connections wait to be accepted."""
        return sum(map(accept_queue_length, self.all_of(name)))

    def held(self) -> Iterator[tuple[str, int]]:
        """(the keeper's key, our copy) of everything."""
        for name, bound in self.bound.items():
            yield f"socket/{name}", bound.fileno()
        for (name, number), made in self._own.items():
            yield _key(name, number), made.fileno()

    # ── reuse_port ──────────────────────────────────────────────────────────────────────────
    async def restore(self, stored: list[str]) -> None:
        """Further sockets that brains before us have bound."""
        for key in stored:
            kind, _, rest = key.partition("/")
            name, _, number = rest.rpartition("/")
            if kind != "socket" or name not in self.bound:
                continue
            if (fd := await self._link.fetch(key)) is not None:
                self._own[name, int(number)] = socket.socket(fileno=fd)
                noted = self._link.notes.get(f"order/{name}")
                self._order[name] = noted if isinstance(noted, list) else []

    async def provide(self, service: Service, number: int) -> None:
        """Before process `number` starts: bind what it needs and has not. Raises SpawnError."""
        for name in service.sockets:
            if (closing := self._closing.get((name, number))) is not None:
                await closing
            self._leaving.discard((name, number))
            self._deal(name)
        for name in service.sockets if number > 1 else ():
            spec, fact = self._specs.get(name), self.facts.get(name)
            if spec is None or fact is None or not spec.reuse_port or (name, number) in self._own:
                continue
            try:
                made = bind_socket(name, replace(spec, port=fact.port), self._folder)
            except ChapiteauError as exc:
                raise SpawnError(exc.what, hint=exc.hint) from exc
            self._own[name, number] = made
            self._set_order(name, [*self._order.get(name, [1]), number])
            await self._link.store(_key(name, number), made.fileno())

    async def drain(self, service: Service, numbers: Iterable[int], users: Users) -> None:
        """These numbers are about to end for good: what waits for them is taken first."""
        names = [name for name in service.sockets if name in self._order]
        going = {(name, number) for number in numbers for name in names}
        going = {key for key in going if users(*key) == 1}  # and not another service's
        if not going:
            return
        self._leaving |= going
        for name in {name for name, _ in going}:
            self._deal(name)
        for _ in range(_STEPS):
            await asyncio.sleep(_STEP)
            if not any(accept_queue_length(self._own[key]) for key in going & self._own.keys()):
                return

    def release(self, users: Users) -> None:
        """Numbers that nobody runs under listen no more."""
        for name, number in list(self._own):
            if not users(name, number):
                self._release(name, number)
        for name in self._order:
            if not users(name, 1):
                self._leaving.add((name, 1))
            self._deal(name)

    def forget(self, name: str) -> None:
        """The socket is closed, or another has taken its name."""
        for owner, number in list(self._own):
            if owner == name:
                self._link.tell("drop", name=_key(name, number))
                self._own.pop((name, number)).close()
        self._leaving = {key for key in self._leaving if key[0] != name}
        self._dealt.pop(name, None)
        if self._order.pop(name, None) is not None:
            self._link.note(f"order/{name}", None)

    def _release(self, name: str, number: int) -> None:
        key = name, number
        self._own.pop(key).close()
        self._leaving.add(key)
        self._deal(name)
        self._closing[key] = asyncio.ensure_future(self._close(name, number))

    async def _close(self, name: str, number: int) -> None:
        """The keeper's copy is the last one; meanwhile only places are dealt to that stay."""
        async with self._one_by_one:
            after = order_without(self._order.get(name, []), number)
            self._deal(name, after)
            with contextlib.suppress(KeeperGoneError):  # another is not told of what we dropped
                await self._link.ask("drop", name=_key(name, number))
            self._closing.pop((name, number), None)
            self._leaving.discard((name, number))
            self._set_order(name, after)

    def _set_order(self, name: str, order: list[int]) -> None:
        self._order[name] = order
        self._link.note(f"order/{name}", order)
        self._deal(name)

    def _deal(self, name: str, soon: list[int] | None = None) -> None:
        """Let the kernel deal to those who take; `soon`: the order that there will be."""
        order, bound = self._order.get(name, []), self.bound.get(name)
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

    def close(self) -> None:
        """Let go of everything, and remove what has a path."""
        for bound in self.bound.values():
            name = bound.getsockname()
            bound.close()
            if isinstance(name, str) and name.startswith("/"):
                Path(name).unlink(missing_ok=True)


def _key(name: str, number: int) -> str:
    return f"socket/{name}/{number}"


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
