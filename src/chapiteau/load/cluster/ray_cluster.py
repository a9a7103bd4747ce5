"""Relays on the nodes of a Ray cluster (extra [ray]), for those who have one already.

One actor for each node, tied to it and never restarted. Ray wants the same versions of Ray and
Python everywhere; Dask does not, and needs a fifth of the room: prefer it where you may choose.
"""

import asyncio
import contextlib
import json
import os
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.io.json_lines import encode_line
from chapiteau.load.cluster import dask_tasks as carried
from chapiteau.load.locations import is_encrypted, ray_failure

__all__ = ["RayCluster"]

_CONNECT: Final = 30.0  # seconds
_GRACE: Final = "10"  # seconds that Ray's client looks for a head that is gone
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
    """A running Ray cluster; `address` as `ray.init` takes it.

    Ray's own errors stay here: what is wrong with the cluster is a ChapiteauError, what is wrong
    with a node makes that a lost host.
    """

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        self._address = address
        self._insecure = insecure
        self._test = uuid.uuid4().hex
        self._nodes: dict[str, str] = {}
        self._actors: dict[str, Any] = {}
        self._pulls: set[asyncio.Task[None]] = set()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._turns: dict[str, asyncio.Lock] = {}  # orders stay in their order
        self._gone: set[str] = set()  # hosts of which nothing more will come
        self._ending = False

    async def hosts(self) -> Sequence[str]:
        """Every node that is alive. Raises UsageError without the extra [ray]."""
        os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", _GRACE)
        os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # a lost head is lost: none is begun here
        try:
            import ray
        except ImportError as exc:
            raise UsageError(
                f"--on ray:// needs the extra [ray]: {exc}", hint="pip install 'chapiteau[ray]'"
            ) from exc
        if self._in_the_open():
            raise UsageError(
                f"{self._address} is not encrypted, and whoever reaches it runs programs there",
                hint="use Ray's TLS (RAY_USE_TLS=1), or say --insecure on a network of your own",
            )
        try:
            async with asyncio.timeout(_CONNECT):
                await asyncio.to_thread(
                    ray.init,
                    address=self._address,
                    log_to_driver=False,
                    logging_level="ERROR",  # what matters comes as an exception
                    namespace="chapiteau-load",
                )
                nodes = await asyncio.to_thread(ray.nodes)
        except Exception as exc:  # Ray raises what it likes, of its own and of Python's
            what, hint = ray_failure(self._address, type(exc).__name__, str(exc))
            raise ChapiteauError(what, hint=hint) from exc
        for node in nodes:
            if node["Alive"]:
                self._nodes[f"{node['NodeManagerHostname']}/{node['NodeID'][:6]}"] = node["NodeID"]
        return list(self._nodes)

    def _in_the_open(self) -> bool:
        """Whether others could read, or write, what goes to Ray's head."""
        far = self._address.startswith("ray://") and not is_encrypted(self._address)
        return far and not self._insecure and os.environ.get("RAY_USE_TLS") != "1"

    async def launch(self, host: str, order: dict[str, Any]) -> None:
        """The first order makes the actor."""
        if host in self._gone:
            return
        try:
            # Ray's client blocks while it looks for a head that is gone: never in our loop.
            async with self._turns.setdefault(host, asyncio.Lock()):
                if host not in self._actors:
                    self._actors[host] = await asyncio.to_thread(self._made, host)
                    self._pulls.add(asyncio.create_task(self._pull(host)))
                push = self._actors[host].push.remote
                sent = await asyncio.to_thread(push, encode_line(order))
            await sent
        except Exception as exc:  # noqa: BLE001 — a node, or the cluster, that is gone in any way
            self._lose(host, exc)

    def _made(self, host: str) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        tied = NodeAffinitySchedulingStrategy(self._nodes[host], soft=False)
        made = ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy=tied)(_Carrier)
        return made.remote(self._test + host)

    async def _pull(self, host: str) -> None:
        try:
            pull = self._actors[host].pull.remote
            while (line := await (await asyncio.to_thread(pull))) is not None:
                self._events.put_nowait({"host": host, **json.loads(line)})
        except Exception as exc:  # noqa: BLE001 — as above
            self._lose(host, exc)
        else:
            self._lose(host, "its relay ended")

    def _lose(self, host: str, why: str | Exception) -> None:
        if host in self._gone:
            return
        self._gone.add(host)
        if isinstance(why, Exception):
            what, hint = ray_failure(self._address, type(why).__name__, str(why))
            why = f"{what} ({hint})"
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
            if ray.is_initialized():
                with contextlib.suppress(Exception):  # it is gone, or the way to it is
                    await asyncio.to_thread(ray.kill, actor)
        with contextlib.suppress(Exception):
            await asyncio.to_thread(ray.shutdown)
