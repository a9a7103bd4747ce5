"""reuse_port: each process number has a listening socket of its own on the same port.

The kernel deals connections out to all that listen, so a number's socket listens only while the
number has, or is about to have, a process: connections dealt to any other would wait for ever.
Number 1 has the socket that is bound first; it holds the port, whoever runs.
"""

import socket
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.engine.machine.sockets import bind, queue_of
from chapiteau.run.errors import SpawnError
from chapiteau.run.logic.command import SocketFact
from chapiteau.run.logic.spec import Service
from chapiteau.run.logic.states import State

if TYPE_CHECKING:
    from chapiteau.run.engine.brain.supervisor import Supervisor
    from chapiteau.run.engine.service.slot import Slot

__all__ = ["PerProcess"]


class PerProcess:
    """The sockets of the numbers from 2 on; ours are copies of the keeper's."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._held: dict[tuple[str, int], socket.socket] = {}

    async def restore(self, stored: list[str]) -> None:
        """What brains before us have bound."""
        for key in stored:
            kind, _, rest = key.partition("/")
            name, _, number = rest.rpartition("/")
            if kind == "socket" and name in self._supervisor.spec.socket:
                fd = await self._supervisor.link.fetch(key)
                if fd is not None:
                    self._know(name, int(number), socket.socket(fileno=fd))

    async def provide(self, service: Service, number: int) -> None:
        """Before process `number` starts: bind what it needs and has not. Raises SpawnError."""
        supervisor = self._supervisor
        for name in service.sockets if number > 1 else ():
            spec = supervisor.spec.socket.get(name)
            fact = supervisor.around.sockets.get(name)
            if spec is None or fact is None or not spec.reuse_port or (name, number) in self._held:
                continue
            same = type(spec)(**{**asdict(spec), "port": fact.port})
            try:
                made = bind(name, same, supervisor.config_path.parent)
            except ChapiteauError as exc:
                raise SpawnError(exc.what, hint=exc.hint) from exc
            self._know(name, number, made)
            await supervisor.link.store(_key(name, number), made.fileno())

    def _know(self, name: str, number: int, made: socket.socket) -> None:
        self._held[name, number] = made
        fact = self._supervisor.around.sockets[name]
        self._supervisor.around.per_process[name, number] = SocketFact(
            address=fact.address, port=fact.port, stored=_key(name, number)
        )

    def look(self) -> None:
        """Something has changed: numbers that nobody runs under listen no more."""
        for name, number in list(self._held):
            if not any(self._needed(name, number)):
                self._drop(name, number)

    def _needed(self, name: str, number: int) -> Iterator[bool]:
        for runner in self._supervisor.runners.values():
            slot = runner.slots.get(number) if name in runner.spec.sockets else None
            yield slot is not None and not _rests(slot)

    def forget(self, name: str) -> None:
        """The socket is closed, or another has taken its name."""
        for owner, number in list(self._held):
            if owner == name:
                self._drop(name, number)

    def _drop(self, name: str, number: int) -> None:
        self._supervisor.link.tell("drop", name=_key(name, number))
        self._supervisor.around.per_process.pop((name, number), None)
        self._held.pop((name, number)).close()

    def queued(self, name: str) -> int:
        """How many connections wait in the socket of this name, or in all that share its port."""
        first = self._supervisor.bound.get(name)
        return sum(map(queue_of, (*self.of(name), *([first] if first else ()))))

    def of(self, name: str) -> list[socket.socket]:
        """Further sockets of this name."""
        return [made for (owner, _), made in self._held.items() if owner == name]

    def held(self) -> Iterator[tuple[str, int]]:
        """(the keeper's key, our copy) of everything."""
        for (name, number), made in self._held.items():
            yield _key(name, number), made.fileno()


def _rests(slot: "Slot") -> bool:
    """Nothing runs under this number, and nothing will by itself."""
    return slot.quiet and slot.state in (State.DOWN, State.FAILED, State.COMPLETED)


def _key(name: str, number: int) -> str:
    return f"socket/{name}/{number}"
