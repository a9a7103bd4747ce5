"""Relays on the nodes of a Ray cluster (extra [ray]), for those who have one already.

One actor for each node, tied to it and never restarted. Ray wants the same versions of Ray and
Python everywhere; Dask does not, and needs a fifth of the room: prefer it where you may choose.
"""

import asyncio
import contextlib
import json
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.core.frames import encode_line
from chapiteau.load.engine.cluster import carried

__all__ = ["RayCluster"]

_GOODBYE: Final = 20.0  # seconds for tear-downs


class _Carrier:
    """In the actor: a relay, fed and listened to."""

    def __init__(self, test: str) -> None:
        self._test = test
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_event_loop()

        def hand(line: bytes) -> None:
            loop.call_soon_threadsafe(self._lines.put_nowait, line.decode())

        def run() -> None:
            carried.serve(test, hand)
            loop.call_soon_threadsafe(self._lines.put_nowait, None)

        threading.Thread(target=run, daemon=True).start()

    async def push(self, line: bytes) -> None:
        carried.push(self._test, line)

    async def pull(self) -> str | None:
        return await self._lines.get()


class RayCluster:
    """A running Ray cluster; `address` as `ray.init` takes it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._test = uuid.uuid4().hex
        self._nodes: dict[str, str] = {}
        self._actors: dict[str, Any] = {}
        self._pulls: set[asyncio.Task[None]] = set()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ending = False

    async def hosts(self) -> Sequence[str]:
        """Every node that is alive. Raises UsageError without the extra [ray]."""
        try:
            import ray
        except ImportError as exc:
            raise UsageError(
                f"--on ray:// needs the extra [ray]: {exc}", hint="pip install 'chapiteau[ray]'"
            ) from exc
        try:
            await asyncio.to_thread(
                ray.init, address=self._address, log_to_driver=False, namespace="chapiteau-load"
            )
        except (ConnectionError, RuntimeError, ValueError) as exc:
            raise ChapiteauError(f"{self._address}: no Ray cluster answers ({exc})") from exc
        for node in ray.nodes():
            if node["Alive"]:
                self._nodes[f"{node['NodeManagerHostname']}/{node['NodeID'][:6]}"] = node["NodeID"]
        return list(self._nodes)

    async def launch(self, host: str, order: dict[str, Any]) -> None:
        """The first order makes the actor."""
        import ray
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if host not in self._actors:
            tied = NodeAffinitySchedulingStrategy(self._nodes[host], soft=False)
            made = ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy=tied)(_Carrier)
            self._actors[host] = made.remote(self._test + host)
            self._pulls.add(asyncio.create_task(self._pull(host)))
        with contextlib.suppress(RayError):  # an actor that is gone is told by its reports
            await self._actors[host].push.remote(encode_line(order))

    async def _pull(self, host: str) -> None:
        from ray.exceptions import RayError

        why = "its relay ended"
        try:
            while (line := await self._actors[host].pull.remote()) is not None:
                self._events.put_nowait({"host": host, **json.loads(line)})
        except RayError as exc:
            why = type(exc).__name__
        if not self._ending:
            self._events.put_nowait({"host": host, "is": "lost", "why": why})

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """As they come."""
        while True:
            yield await self._events.get()

    async def stop(self, turn: int) -> None:
        """A word to each."""
        order = {"do": "stop", "turn": turn}
        await asyncio.gather(*(self.launch(host, order) for host in self._actors))

    async def close(self) -> None:
        """Let each tear down and leave; the cluster itself goes on."""
        if not self._nodes:
            return
        import ray

        self._ending = True
        order = {"do": "end", "leave": True}
        await asyncio.gather(*(self.launch(host, order) for host in self._actors))
        if self._pulls:
            await asyncio.wait(self._pulls, timeout=_GOODBYE)
        for pull in self._pulls:
            pull.cancel()
        await asyncio.gather(*self._pulls, return_exceptions=True)
        for actor in self._actors.values():
            ray.kill(actor)
        await asyncio.to_thread(ray.shutdown)
