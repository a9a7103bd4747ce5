"""Every command of circusctl, done by our own; what has no equal is answered honestly."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.migrate.circus.bridge_add import AddedServices
from chapiteau.migrate.circus.process_info import descendants, process_info, send_signal
from chapiteau.migrate.circus.protocol import (
    CircusError,
    Request,
    circus_state,
    errno,
    select_watchers,
    settings_of,
    watcher_options,
)
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SupervisorStatus
from chapiteau.run.config.service_rules import signal_name
from chapiteau.run.logs.messages import Outcome

__all__ = ["Commands"]

Answer = dict[str, Any]
_SIGNALS: Final = {one.name: one.value for one in signal.Signals}


class Commands:
    """`answer` does one request: a method `do_NAME` for each command."""

    def __init__(
        self,
        client: AsyncClient,
        clock: Clock,
        status: Callable[[], Awaitable[SupervisorStatus]],
        endpoints: Answer,
        added: AddedServices,
    ) -> None:
        self._client, self._clock, self._status = client, clock, status
        self._endpoints, self._added = endpoints, added
        self._background: set[asyncio.Task[Any]] = set()

    async def answer(self, request: Request) -> Answer:
        """What Circus would answer. Raises CircusError."""
        command = getattr(self, f"do_{request.command}", None)
        if command is None:
            what = f"unknown command: {request.command!r}"
            raise CircusError(what, errno.UNKNOWN_COMMAND)
        try:
            answer: Answer = await command(request)
        except ChapiteauError as exc:
            raise _failed(exc.what, exc.hint) from exc
        return answer

    async def _services(self) -> dict[str, ServiceStatus]:
        return {service.name: service for service in (await self._status()).services}

    async def _service(self, request: Request) -> ServiceStatus:
        """The one that is named, whatever its case. Raises CircusError."""
        for name, service in (await self._services()).items():
            if name.lower() == request.name.lower():
                return service
        raise CircusError(f"program {request.name} not found")

    async def _run(self, verb: str, service: str, request: Request, **options: Any) -> Outcome:
        """A command, waited for when `waiting` says so. Raises CircusError when it failed."""
        wait = bool(request.properties.get("waiting"))
        return _checked(await self._client.command(verb, service, wait=wait, **options))

    def _continue(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something that goes on after the answer; events tell how it ended."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: a supervisor that goes away meanwhile is no defect

    # ── what has no equal ───────────────────────────────────────────────────────────────────
    async def do_ipython(self, _: Request) -> Answer:
        what = "the supervisor runs nobody's code; `chapiteau status --json` shows its state"
        raise _failed(f"ipython: {what}")

    async def do_listen(self, _: Request) -> Answer:
        raise CircusError("invalid message. use a pub/sub socket")

    # ── state ───────────────────────────────────────────────────────────────────────────────
    async def do_list(self, request: Request) -> Answer:
        if "name" in request.properties:
            return {"pids": [p.pid for p in _live(await self._service(request))]}
        return {"watchers": sorted(await self._services())}

    async def do_status(self, request: Request) -> Answer:
        if "name" in request.properties:
            return {"status": circus_state((await self._service(request)).state)}
        services = await self._services()
        return {"statuses": {name: circus_state(s.state) for name, s in services.items()}}

    async def do_numprocesses(self, request: Request) -> Answer:
        if "name" in request.properties:
            count = len(_live(await self._service(request)))
            return {"numprocesses": count, "watcher_name": request.name}
        return {"numprocesses": sum(len(_live(s)) for s in (await self._services()).values())}

    async def do_numwatchers(self, _: Request) -> Answer:
        return {"numwatchers": len(await self._services())}

    async def do_stats(self, request: Request) -> Answer:
        if "name" not in request.properties:
            services = await self._services()
            return {"infos": {name: self._infos(s) for name, s in services.items()}}
        extended = bool(request.properties.get("extended"))
        infos = self._infos(await self._service(request), extended=extended)
        if "process" not in request.properties:
            return {"name": request.name, "info": infos}
        process = request.properties["process"]
        if str(process) not in infos:
            raise CircusError(f"process {process!r} not found in {request.name!r}")
        return {"process": process, "info": infos[str(process)]}

    def _infos(self, service: ServiceStatus, *, extended: bool = False) -> Answer:
        now = self._clock.wall()
        found: Answer = {}
        for process in _live(service):
            info = process_info(process.pid, process.cpu_percent, now, number=process.number)
            if info is not None:
                found[str(process.pid)] = (
                    {**msgspec.to_builtins(info), **process.extra} if extended else info
                )
        return found

    async def do_dstats(self, _: Request) -> Answer:
        status = await self._status()
        info = process_info(status.pid, status.cpu_percent, self._clock.wall())
        if info is None:
            raise CircusError("the supervisor is just being replaced", errno.OS_ERROR)
        return {"info": info}

    async def do_listsockets(self, _: Request) -> Answer:
        found = []
        for fd, socket in enumerate((await self._status()).sockets, 3):
            one: Answer = {"fd": fd, "name": socket.name, "backlog": socket.backlog}
            if socket.address.startswith("/"):
                one["path"] = socket.address
            else:
                host, _colon, port = socket.address.rpartition(":")
                one |= {"host": host.strip("[]"), "port": int(port) if port.isdigit() else 0}
            found.append(one)
        return {"sockets": found}

    # ── options ─────────────────────────────────────────────────────────────────────────────
    async def do_options(self, request: Request) -> Answer:
        return {"options": await self._options(await self._service(request))}

    async def _options(self, service: ServiceStatus) -> Answer:
        """Asked anew every time: they change with the configuration."""
        running = (await self._client.config()).get("service", {})
        return watcher_options(
            running.get(service.name, {"command": service.command}),
            wanted=service.wanted,
            folder=str(Path((await self._client.status()).config).parent),
            signals=_SIGNALS,
        )

    async def do_get(self, request: Request) -> Answer:
        options = await self._options(await self._service(request))
        keys = request.need("keys")
        for key in keys:
            if key not in options:
                raise CircusError(f"{key!r} option not found")
        return {"options": {key: options[key] for key in keys}}

    async def do_set(self, request: Request) -> Answer:
        service = await self._service(request)
        settings = settings_of(request.need("options"))
        _checked(await self._client.configure(service.name, settings))
        return {}

    async def do_globaloptions(self, request: Request) -> Answer:
        wanted = request.properties.get("option")
        if not wanted:
            return {"options": self._endpoints}
        if wanted not in self._endpoints:
            raise CircusError(f"{wanted!r} not an existing option")
        return {"options": {wanted: self._endpoints[wanted]}}

    # ── commands ────────────────────────────────────────────────────────────────────────────
    async def do_start(self, request: Request) -> Answer:
        """One, several or all."""
        services = await self._services()
        names = select_watchers(request, services)
        before = {p.pid for name in names for p in _live(services[name])}
        await self._run(request.command, ",".join(names) or "all", request)
        if not request.properties.get("waiting") or len(names) != 1:
            return {}
        now = await self._services()
        after = {p.pid for name in names if name in now for p in _live(now[name])}
        return {
            "info": {
                "started": sorted(after - before),
                "stopped": sorted(before - after),
                "kept": sorted(before & after),
            }
        }

    do_stop = do_restart = do_start

    async def do_reload(self, request: Request) -> Answer:
        names = list(await self._services())
        if "name" in request.properties:
            names = [(await self._service(request)).name]
        verb = "reload" if request.properties.get("graceful", True) else "restart"
        outcome = await self._run(verb, ",".join(names) or "all", request)
        waited = request.properties.get("waiting") and len(names) == 1
        return {"info": outcome.data} if waited else {}

    async def do_reloadconfig(self, request: Request) -> Answer:
        if request.properties.get("waiting"):
            _checked(await self._client.apply())
        else:
            _checked(await self._client.plan())  # better to hear of a wrong file now than never
            self._continue(self._client.apply())
        return {}

    async def do_add(self, request: Request) -> Answer:
        await self._added.add(request)
        if request.properties.get("start"):
            await self._run("start", request.name, request)
        return {}

    async def do_rm(self, request: Request) -> Answer:
        if request.properties.get("nostop"):
            raise _failed("rm: a process can't be without its service; without nostop it stops")
        await self._added.remove(request)
        return {}

    async def do_incr(self, request: Request) -> Answer:
        service = await self._service(request)
        if service.one_shot:
            return {"numprocesses": service.wanted, "singleton": True}
        step = request.number("nb", 1)
        count = max(0, service.wanted + (-step if request.command == "decr" else step))
        await self._run("scale", service.name, request, processes=count)
        return {"numprocesses": count} if request.properties.get("waiting") else {}

    do_decr = do_incr

    async def do_quit(self, _: Request) -> Answer:
        self._continue(self._client.shutdown())  # after the answer: the bridge ends with it
        return {}

    # ── signals ─────────────────────────────────────────────────────────────────────────────
    async def do_signal(self, request: Request) -> Answer:
        service = await self._service(request)
        number, properties = _signal_number(request.need("signum")), request.properties
        child, recursive = request.number("childpid", 0), bool(properties.get("recursive"))
        if child and "pid" not in properties:
            raise _failed("cannot specify childpid without pid")
        for process in _processes(service, request):
            below = descendants(process.pid, recursive=recursive)
            if child:
                below = [child]
            elif not properties.get("children"):
                await self._send(service.name, process, number)
                below = below if recursive else []
            sent = [send_signal(pid, number, below=process.pid) for pid in below]
            if child and not any(sent):
                raise CircusError(f"process {child} is no child of {process.pid}", errno.OS_ERROR)
        return {}

    async def _send(self, name: str, process: ProcessStatus, number: int) -> None:
        _checked(
            await self._client.command("signal", name, signal=str(number), process=process.number)
        )

    async def do_kill(self, request: Request) -> Answer:
        """The stop signal, and KILL to what has not ended in time; the policy starts others."""
        service = await self._service(request)
        options = await self._options(service)
        number = _signal_number(request.properties.get("signum") or options["stop_signal"])
        try:
            grace = float(request.properties.get("graceful_timeout") or options["graceful_timeout"])
        except (TypeError, ValueError):
            raise CircusError("'graceful_timeout' isn't a number") from None
        processes = _processes(service, request, strict=False)
        for process in processes:
            await self._send(service.name, process, number)
        killing = self._kill_late(service.name, processes, grace)
        if request.properties.get("waiting"):
            await killing
        else:
            self._continue(killing)
        return {}

    async def _kill_late(self, name: str, left: list[ProcessStatus], grace: float) -> None:
        end = self._clock.now() + grace
        while left and self._clock.now() < end:
            await asyncio.sleep(0.1)
            now = (await self._services()).get(name)
            pids = {p.pid for p in _live(now)} if now else set()
            left = [p for p in left if p.pid in pids]
        for process in left:
            await self._send(name, process, signal.SIGKILL)


def _failed(what: str, hint: str = "") -> CircusError:
    return CircusError(f"{what} ({hint})" if hint else what, errno.COMMAND_ERROR)


def _checked(outcome: Outcome) -> Outcome:
    if not outcome.ok:
        raise _failed(outcome.error, outcome.hint)
    return outcome


def _live(service: ServiceStatus) -> list[ProcessStatus]:
    return [process for process in service.processes if process.pid]


def _processes(
    service: ServiceStatus, request: Request, *, strict: bool = True
) -> list[ProcessStatus]:
    """All processes, or the one with the pid. Raises CircusError when it is not there."""
    live = _live(service)
    pid = request.number("pid", 0)
    found = [process for process in live if process.pid == pid]
    if pid and strict and not found:
        raise CircusError(f"process {pid} not found in {service.name!r}")
    return found if pid else live


def _signal_number(value: Any) -> int:
    """15 for 15, "15", "TERM" and "SIGTERM". Raises CircusError."""
    try:
        name = signal_name(str(value))
        return int(name) if name.isdigit() else _SIGNALS[f"SIG{name}"]
    except (ValueError, KeyError):
        raise CircusError("signal invalid") from None
