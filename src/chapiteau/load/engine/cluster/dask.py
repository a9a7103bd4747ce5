"""Relays on the workers of a Dask cluster (extra [cluster]): any that exists, and k8s pods.

One task for each host, pinned to one of its workers and never repeated: a host that is lost is
lost. Orders go by `Client.run`, reports come by `log_event`.
"""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from distributed import Client, Security, get_worker

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.core.frames import encode_line
from chapiteau.load.engine.cluster import carried
from chapiteau.load.logic.cluster.places import encrypted

__all__ = ["DaskCluster", "security_from"]

_CONNECT: Final = 15.0  # seconds
_CUT: Final = 3  # seconds without the scheduler after which it is taken for lost
_GOODBYE: Final = 20.0  # seconds for tear-downs


class DaskCluster:
    """A running scheduler, found by its address or by its file."""

    def __init__(
        self,
        address: str = "",
        *,
        scheduler_file: str = "",
        insecure: bool = False,
        security: Security | None = None,
    ) -> None:
        self._address = address
        self._file = scheduler_file
        self._insecure = insecure
        self._security = security
        self._test = uuid.uuid4().hex
        self._client: Any = None
        self._workers: dict[str, str] = {}  # host → the worker that carries its relay
        self._tasks: dict[str, Any] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ending = False
        self._gone: set[str] = set()  # hosts of which nothing more will come

    async def hosts(self) -> Sequence[str]:
        """One for each machine that has workers, however many it has."""
        client = await self._connected()
        workers = client.scheduler_info(n_workers=-1)["workers"]
        for address, facts in sorted(workers.items()):
            self._workers.setdefault(str(facts["host"]), address)
        if not self._workers:
            raise ChapiteauError(f"{self._name} has no workers", hint="dask worker ADDRESS")
        return list(self._workers)

    @property
    def _name(self) -> str:
        return self._address or self._file

    async def _connected(self) -> Any:
        if self._client is not None:
            return self._client
        address = self._address or _address_in(Path(self._file))
        if not self._insecure and not encrypted(address):
            raise UsageError(
                f"{address} is not encrypted, and whoever reaches it runs programs on its workers",
                hint="use tls:// (Dask's Security), or say --on-insecure on a network of your own",
            )
        try:
            self._client = await Client(  # type: ignore[no-untyped-call]
                address,
                asynchronous=True,
                timeout=_CONNECT,
                security=self._security,
                set_as_default=False,
            )
        except OSError as exc:
            raise ChapiteauError(f"{address}: no Dask scheduler answers ({exc})") from exc
        await self._client.run_on_scheduler(_never_again)
        self._client.subscribe_topic(self._topic, self._heard)
        return self._client

    @property
    def _topic(self) -> str:
        return f"chapiteau-load-{self._test}"

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        _, told = event
        self._events.put_nowait({"host": told["host"], **json.loads(told["line"])})

    async def launch(self, host: str, order: dict[str, Any]) -> None:
        """The first order starts the task whose child the relay is."""
        if host in self._gone:
            return
        client, worker = await self._connected(), self._workers[host]
        if host not in self._tasks:
            self._tasks[host] = task = client.submit(
                _carry,
                self._test,
                self._topic,
                host,
                key=f"{self._topic}-{host}",
                workers=[worker],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            watch = asyncio.create_task(self._watch(host, task))
            self._watches.add(watch)
        # A worker that is gone is told by its task.
        with contextlib.suppress(OSError, ValueError, KeyError):
            await client.run(
                carried.push, self._test, encode_line(order), workers=[worker], on_error="ignore"
            )

    async def _watch(self, host: str, task: Any) -> None:
        try:
            why = f"its relay ended with {await task}"
        except Exception as exc:  # noqa: BLE001 — KilledWorker, a lost scheduler, and their like
            why = f"{type(exc).__name__}: {exc}"
        self._lose(host, why)

    def _lose(self, host: str, why: str) -> None:
        if host in self._gone:
            return
        self._gone.add(host)
        if not self._ending:
            self._events.put_nowait({"host": host, "is": "lost", "why": why})

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """As they come; with the scheduler everybody is lost."""
        cut = 0
        while True:
            try:
                async with asyncio.timeout(1.0):
                    yield await self._events.get()
            except TimeoutError:
                cut = cut + 1 if self._client and self._client.status != "running" else 0
                if cut >= _CUT:
                    for host in self._workers:
                        self._lose(host, "the scheduler does not answer any more")

    async def stop(self) -> None:
        """A word to each."""
        await asyncio.gather(*(self.launch(host, {"do": "stop"}) for host in self._tasks))

    async def close(self) -> None:
        """Let each tear down and leave; the cluster itself is somebody else's and goes on."""
        self._ending = True
        if self._client is None:
            return
        order = {"do": "end", "leave": True}
        with contextlib.suppress(OSError):
            await asyncio.gather(*(self.launch(host, order) for host in self._tasks))
        if self._watches and len(self._gone) < len(self._tasks):
            await asyncio.wait(self._watches, timeout=_GOODBYE)
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        with contextlib.suppress(OSError, TimeoutError):
            await self._client.close(timeout=2)


def security_from(folder: Path) -> Security:
    """What `chapiteau load k8s` left for us: its authority and our own certificate."""
    if not (folder / "ca.pem").is_file():
        raise UsageError(
            f"{folder}: no credentials for a cluster",
            hint="chapiteau load k8s --image IMAGE --workers 20 | kubectl apply -f -",
        )
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True,
        tls_ca_file=str(folder / "ca.pem"),
        tls_client_cert=str(folder / "client.pem"),
        tls_client_key=str(folder / "client.key"),
    )


def _address_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["address"])
    except (OSError, ValueError, KeyError) as exc:
        raise UsageError(f"{path}: not a scheduler's file ({exc})") from exc


async def _never_again(dask_scheduler: Any) -> None:
    """A task whose worker dies must fail, not start again elsewhere with half of the test over."""
    dask_scheduler.allowed_failures = 0


def _carry(test: str, topic: str, host: str) -> int:
    worker = get_worker()

    def hand(line: bytes) -> None:
        worker.log_event(topic, {"host": host, "line": line.decode()})

    return carried.serve(test, hand)
