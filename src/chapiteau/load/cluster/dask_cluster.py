"""Relays on the workers of a Dask cluster (extra [cluster]): any that exists, and k8s pods.

One task for each host, pinned to one of its workers and never repeated: a host that is lost is
lost. Files go by Dask's upload plugin, stops by its events, the other orders by `Client.run`;
reports come by `log_event`.
"""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from distributed import Client, Event, Future, KilledWorker, Security
from distributed.diagnostics.plugin import UploadFile
from msgspec import structs

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.cluster import dask_tasks as dask_side
from chapiteau.load.locations import is_encrypted
from chapiteau.load.workers.messages import (
    Carried,
    End,
    Go,
    Lost,
    Order,
    Prepare,
    Report,
    Setup,
    encode_message,
    report_reader,
)

__all__ = ["DaskCluster", "expected_of", "security_from"]

_CONNECT: Final = 15.0  # seconds
_COMING: Final = 120.0  # seconds for workers that are expected
_CUT: Final = 3  # seconds without the scheduler after which it is taken for lost
_LEAVE: Final = 3.0  # seconds in which an order to leave has arrived, or will not
_GOODBYE: Final = 20.0  # seconds for tear-downs
_LOST: Final = (OSError, ValueError, KeyError)  # a worker that is gone is told by its task


class DaskCluster:
    """A running scheduler, found by its address or by its file."""

    def __init__(
        self,
        address: str = "",
        *,
        scheduler_file: str = "",
        insecure: bool = False,
        security: Security | None = None,
        expected: int = 1,
    ) -> None:
        self._expected = expected  # workers that are waited for
        self._address = address
        self._file = scheduler_file
        self._insecure = insecure
        self._security = security
        self._topic = f"chapiteau-load-{uuid.uuid4().hex}"
        self._client: Any = None
        self._workers: dict[str, str] = {}  # host → the worker that carries its relay
        self._folders: dict[str, str] = {}  # worker → its local directory
        self._tasks: dict[str, Future[Any]] = {}
        self._carried: set[str] = set()  # hosts whose task has begun
        self._watches: dict[str, asyncio.Task[None]] = {}  # of the hosts' tasks
        self._events: asyncio.Queue[tuple[str, Report]] = asyncio.Queue()
        self._stops: set[str] = set()  # events that are set
        self._files = asyncio.Lock()
        self._laid_out = False
        self._ending = False
        self._gone: set[str] = set()  # hosts of which nothing more will come

    async def hosts(self) -> Sequence[str]:
        """One for each machine that has workers, however many it has."""
        await self._wait()
        for address, facts in sorted((await self._there()).items()):
            self._workers.setdefault(str(facts["host"]), address)
            self._folders[address] = str(facts["local_directory"])
        if not self._workers:
            raise ChapiteauError(f"{self._name} has no workers", hint="dask worker ADDRESS")
        await self._refuse_others()
        return list(self._workers)

    async def _refuse_others(self) -> None:
        """Before anything of ours goes there: a task that a worker can't read ends that worker."""
        asked = list(self._workers.values())
        found = await self._client.run(version, "chapiteau", workers=asked, on_error="return")
        with contextlib.suppress(PackageNotFoundError):
            found["the scheduler"] = None
            found["the scheduler"] = await self._client.run_on_scheduler(version, "chapiteau")
        own = version("chapiteau")
        for place, there in found.items():
            if there != own:
                what = f"Chapiteau {there}" if isinstance(there, str) else "no Chapiteau"
                raise ChapiteauError(
                    f"{self._name}: {place} has {what}, this machine {own}",
                    hint=f"install chapiteau[cluster]=={own} where scheduler and workers run",
                )

    async def _wait(self) -> None:
        """For workers that are on their way: pods come up one after the other."""
        until = asyncio.get_running_loop().time() + _COMING
        while self._expected > 1 and (count := len(await self._there())) < self._expected:
            if asyncio.get_running_loop().time() > until:
                raise ChapiteauError(
                    f"{self._name}: {count} of {self._expected} workers are there after "
                    f"{_COMING:.0f} s",
                    hint="kubectl get pods tells why; with fewer, apply fewer --workers",
                )
            await asyncio.sleep(1)

    async def _there(self) -> Mapping[str, Mapping[str, object]]:
        """All workers by address: what a client of Dask knows by itself may lack some."""
        client = await self._connected()
        known = await client.scheduler.identity(n_workers=-1)
        found: Mapping[str, Mapping[str, object]] = known["workers"]
        return found

    @property
    def _name(self) -> str:
        return self._address or self._file

    async def _connected(self) -> Any:
        if self._client is not None:
            return self._client
        address = self._address or _address_in(Path(self._file))
        if not self._insecure and not is_encrypted(address):
            raise UsageError(
                f"{address} is not encrypted, and whoever reaches it runs programs on its workers",
                hint="use tls:// (Dask's Security), or say --insecure on a network of your own",
            )
        client: Any = Client(  # type: ignore[no-untyped-call]
            address,
            asynchronous=True,
            timeout=_CONNECT,
            security=self._security,
            set_as_default=False,
        )
        try:
            await client
        except TypeError as exc:  # what `distributed` says of a missing certificate
            await client.close(timeout=0)
            raise UsageError(
                f"{address}: no certificate to show ({exc})",
                hint="name it in Dask's configuration: distributed.comm.tls",
            ) from exc
        except OSError as exc:
            await client.close(timeout=0)
            raise ChapiteauError(
                f"{address}: no Dask scheduler answers ({exc})",
                hint="is it running? For k8s: kubectl port-forward "
                "service/chapiteau-load-scheduler 8786",
            ) from exc
        self._client = client
        client.subscribe_topic(self._topic, self._heard)
        return client

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        host = told["host"]
        (report,) = report_reader().feed(told["line"])
        if not isinstance(report, Carried):
            self._events.put_nowait((host, report))
        elif host in self._carried:  # a worker of the same address came, and got the task again
            self._lose(host, "its worker ended, and another one took its place")
        else:
            self._carried.add(host)

    async def launch(self, host: str, order: Order) -> None:
        """The first order starts the task whose child the relay is."""
        if host in self._gone:
            return
        if host not in self._tasks:
            await self._carry(host)
        if isinstance(order, Setup):
            order = await self._with_files(order, self._folders[self._workers[host]])
        elif isinstance(order, Prepare):
            await self._take_files_away()  # every relay has unpacked its own by now
        await self._send(host, order)

    async def _send(self, host: str, order: Order) -> None:
        line, turn = encode_message(order), order.turn if isinstance(order, Go) else 0
        with contextlib.suppress(*_LOST):
            await self._client.run(
                dask_side.order,
                self._topic,
                host,
                line,
                turn,
                workers=[self._workers[host]],
                on_error="ignore",
            )

    async def _carry(self, host: str) -> None:
        key = f"{self._topic}-{host}"
        self._tasks[host] = task = self._client.submit(
            dask_side.carry,
            self._topic,
            host,
            self._archive,
            key=key,
            workers=[self._workers[host]],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._watches[host] = asyncio.create_task(self._watch(host, task))
        await self._client.run_on_scheduler(dask_side.fail_once, [key])

    async def _watch(self, host: str, task: Any) -> None:
        try:
            why = f"its relay ended with {await task}"
        except KilledWorker:  # its own words tell of tries that there were not
            why = "its Dask worker ended: out of memory, or killed? The worker's log tells"
        except Exception as exc:  # noqa: BLE001 — a lost scheduler, and its like
            why = f"{type(exc).__name__}: {exc}"
        self._lose(host, why)

    def _lose(self, host: str, why: str) -> None:
        if host in self._gone:
            return
        self._gone.add(host)
        if not self._ending:
            self._events.put_nowait((host, Lost(why)))

    # ── files ─────────────────────────────────────────────────────────────────────────────────
    @property
    def _archive(self) -> str:
        return f"{self._topic}.zip"

    async def _with_files(self, order: Setup, folder: str) -> Setup:
        """The order with the place of its files on the worker, where they now are."""
        async with self._files:
            if not self._laid_out:
                self._laid_out = True
                await self._lay_out(order.files)
        return structs.replace(order, files=b"", archive=f"{folder}/{self._archive}")

    async def _lay_out(self, data: bytes) -> None:
        """Into the local directory of each worker, which only its user may enter.

        Dask's own plugin: a worker without Chapiteau that joins meanwhile must not stumble.
        """
        with TemporaryDirectory(prefix="chapiteau-load-") as folder:
            path = Path(folder) / self._archive
            path.write_bytes(data)
            plugin = UploadFile(str(path), load=False)
        try:
            await self._client.register_plugin(plugin, name=dask_side.files_of(self._topic))
        except OSError as exc:
            raise ChapiteauError(
                f"{self._name}: the scenario's files could not be laid out ({exc})",
                hint="is there room on the workers' disks?",
            ) from exc

    async def _take_files_away(self) -> None:
        async with self._files:
            if not self._laid_out:
                return
            self._laid_out = False
            with contextlib.suppress(*_LOST):
                await self._client.unregister_worker_plugin(dask_side.files_of(self._topic))
                for worker, facts in (await self._there()).items():
                    self._folders[worker] = str(facts["local_directory"])
            away = (self._remove(worker, folder) for worker, folder in self._folders.items())
            await asyncio.gather(*away)

    async def _remove(self, worker: str, folder: str) -> None:
        with contextlib.suppress(*_LOST):
            path = f"{folder}/{self._archive}"
            await self._client.run(os.remove, path, workers=[worker], on_error="ignore")

    # ── the rest of the five calls ────────────────────────────────────────────────────────────
    async def events(self) -> AsyncIterator[tuple[str, Report]]:
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

    async def stop(self, turn: int) -> None:
        """Set the event that every carrier waits for."""
        name = dask_side.stop_of(self._topic, turn)
        self._stops.add(name)
        with contextlib.suppress(OSError):  # a scheduler that is gone: each relay ends by itself
            await Event(name, client=self._client).set()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Let each tear down and leave; the cluster itself is somebody else's and goes on."""
        self._ending = True
        if self._client is None:
            return
        order = End(leave=True)
        # Those that are lost, too: some only lost their way to us. To the others Dask would try to
        # connect for half a minute.
        sends = [asyncio.create_task(self._send(host, order)) for host in self._tasks]
        if sends:
            await asyncio.wait(sends, timeout=_LEAVE)
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
        if left := [watch for host, watch in self._watches.items() if host not in self._gone]:
            await asyncio.wait(left, timeout=_GOODBYE)
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        with contextlib.suppress(OSError, TimeoutError):
            if self._client.status == "running":
                await self._leave_nothing()
            await self._client.close(timeout=2)

    async def _leave_nothing(self) -> None:
        """A scheduler may live for months: nothing of a test stays in it."""
        await self._take_files_away()
        for name in self._stops:
            await Event(name, client=self._client).clear()  # type: ignore[no-untyped-call]
        with contextlib.suppress(ImportError):  # another version's: nothing of ours is there
            await self._client.run_on_scheduler(dask_side.forget, self._topic)


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


def expected_of(folder: Path) -> int:
    """How many workers `chapiteau load k8s` has written into its manifests."""
    try:
        return int((folder / "workers").read_text())
    except (OSError, ValueError):
        return 1


def _address_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["address"])
    except (OSError, ValueError, KeyError) as exc:
        raise UsageError(f"{path}: not a scheduler's file ({exc})") from exc
