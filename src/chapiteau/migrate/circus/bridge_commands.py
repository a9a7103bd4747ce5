"""Every command of circusctl, done by our own; what has no equal is answered honestly."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.migrate.circus.bridge_add import Added
from chapiteau.migrate.circus.process_info import Settings, descendants, info_of, send_signal
from chapiteau.migrate.circus.protocol import (
    CircusError,
    Request,
    chosen,
    errno,
    settings_of,
    state_word,
)
from chapiteau.run.client.aio import AsyncClient
from chapiteau.run.config.os_names import signal_name
from chapiteau.run.logic.messages import Outcome
from chapiteau.run.logic.status import ProcessStatus, ServiceStatus, SupervisorStatus

__all__ = ["Commands"]

Answer = dict[str, Any]
_NO_EQUAL: Final = {
    "ipython": "the supervisor runs nobody's code; `chapiteau status --json` shows its state",
}


class Commands:
    """`answer` does one request."""

    def __init__(
        self,
        client: AsyncClient,
        clock: Clock,
        look: Callable[[], Awaitable[SupervisorStatus]],
        endpoints: dict[str, Any],
        added: Added,
    ) -> None:
        self._client, self._clock, self._look = client, clock, look
        self._endpoints, self._added = endpoints, added
        self._settings = Settings(client)
        self._later: set[asyncio.Task[Any]] = set()

    async def answer(self, request: Request) -> Answer:
        """What Circus would answer. Raises CircusError."""
        if request.command in _NO_EQUAL:
            what = f"{request.command}: {_NO_EQUAL[request.command]}"
            raise CircusError(what, errno.COMMAND_ERROR)
        if request.command == "listen":
            raise CircusError("invalid message. use a pub/sub socket")
        deed = _DEEDS.get(request.command)
        if deed is None:
            what = f"unknown command: {request.command!r}"
            raise CircusError(what, errno.UNKNOWN_COMMAND)
        try:
            return await deed(self, request)
        except ChapiteauError as exc:
            raise CircusError(_both(exc.what, exc.hint), errno.COMMAND_ERROR) from exc

    async def _service(self, request: Request) -> ServiceStatus:
        """The one that is named, whatever its case. Raises CircusError."""
        wanted = request.name.lower()
        for service in (await self._look()).services:
            if service.name.lower() == wanted:
                return service
        raise CircusError(f"program {request.name} not found")

    async def _do(self, verb: str, service: str, request: Request, **options: Any) -> Outcome:
        """A command, waited for when `waiting` says so. Raises CircusError when it failed."""
        wait = bool(request.properties.get("waiting"))
        outcome = await self._client.command(verb, service, wait=wait, **options)
        if not outcome.ok:
            raise CircusError(_both(outcome.error, outcome.hint), errno.COMMAND_ERROR)
        return outcome

    # ── looking ─────────────────────────────────────────────────────────────────────────────
    async def _list(self, request: Request) -> Answer:
        if "name" in request.properties:
            return {"pids": [p.pid for p in _live(await self._service(request))]}
        return {"watchers": sorted(s.name for s in (await self._look()).services)}

    async def _status(self, request: Request) -> Answer:
        if "name" in request.properties:
            return {"status": state_word((await self._service(request)).state)}
        services = (await self._look()).services
        return {"statuses": {s.name: state_word(s.state) for s in services}}

    async def _numprocesses(self, request: Request) -> Answer:
        if "name" in request.properties:
            count = len(_live(await self._service(request)))
            return {"numprocesses": count, "watcher_name": request.name}
        services = (await self._look()).services
        return {"numprocesses": sum(len(_live(s)) for s in services)}

    async def _numwatchers(self, _: Request) -> Answer:
        return {"numwatchers": len((await self._look()).services)}

    async def _stats(self, request: Request) -> Answer:
        if "name" not in request.properties:
            services = (await self._look()).services
            return {"infos": {s.name: self._infos(s, extended=False) for s in services}}
        service = await self._service(request)
        infos = self._infos(service, extended=bool(request.properties.get("extended")))
        if "process" not in request.properties:
            return {"name": request.name, "info": infos}
        process = request.properties["process"]
        if str(process) not in infos:
            raise CircusError(f"process {process!r} not found in {request.name!r}")
        return {"process": process, "info": infos[str(process)]}

    def _infos(self, service: ServiceStatus, *, extended: bool) -> dict[str, Any]:
        now = self._clock.wall()
        found: dict[str, Any] = {}
        for process in _live(service):
            info = info_of(process.pid, process.cpu_percent, now, number=process.number)
            if info is not None:
                found[str(process.pid)] = {**info, **process.extra} if extended else info
        return found

    async def _dstats(self, _: Request) -> Answer:
        found = await self._look()
        info = info_of(found.pid, found.cpu_percent, self._clock.wall())
        if info is None:
            raise CircusError("the supervisor is just being replaced", errno.OS_ERROR)
        return {"info": info}

    async def _listsockets(self, _: Request) -> Answer:
        found = []
        for fd, socket in enumerate((await self._look()).sockets, 3):
            one: Answer = {"fd": fd, "name": socket.name, "backlog": socket.backlog}
            if socket.address.startswith("/"):
                one["path"] = socket.address
            else:
                host, _colon, port = socket.address.rpartition(":")
                one |= {"host": host.strip("[]"), "port": int(port) if port.isdigit() else 0}
            found.append(one)
        return {"sockets": found}

    async def _options(self, request: Request) -> Answer:
        return {"options": await self._settings.of(await self._service(request))}

    async def _get(self, request: Request) -> Answer:
        options = await self._settings.of(await self._service(request))
        keys = request.need("keys")
        for key in keys:
            if key not in options:
                raise CircusError(f"{key!r} option not found")
        return {"options": {key: options[key] for key in keys}}

    async def _globaloptions(self, request: Request) -> Answer:
        wanted = request.properties.get("option")
        if not wanted:
            return {"options": self._endpoints}
        if wanted not in self._endpoints:
            raise CircusError(f"{wanted!r} not an existing option")
        return {"options": {wanted: self._endpoints[wanted]}}

    # ── doing ───────────────────────────────────────────────────────────────────────────────
    async def _life(self, request: Request) -> Answer:
        """start, stop, restart: one, several or all."""
        services = {s.name: s for s in (await self._look()).services}
        names = chosen(request, services)
        before = {p.pid for name in names for p in _live(services[name])}
        await self._do(request.command, ",".join(names) or "all", request)
        if not request.properties.get("waiting") or len(names) != 1:
            return {}
        now = {s.name: s for s in (await self._look()).services}
        after = {p.pid for name in names if name in now for p in _live(now[name])}
        return {
            "info": {
                "started": sorted(after - before),
                "stopped": sorted(before - after),
                "kept": sorted(before & after),
            }
        }

    async def _reload(self, request: Request) -> Answer:
        names = [s.name for s in (await self._look()).services]
        if "name" in request.properties:
            names = [(await self._service(request)).name]
        verb = "reload" if request.properties.get("graceful", True) else "restart"
        outcome = await self._do(verb, ",".join(names) or "all", request)
        waited = request.properties.get("waiting") and len(names) == 1
        return {"info": outcome.data} if waited else {}

    async def _reloadconfig(self, request: Request) -> Answer:
        if not request.properties.get("waiting"):
            plan = await self._client.plan()
            if not plan.ok:  # better to hear of a wrong file now than never
                raise CircusError(_both(plan.error, plan.hint), errno.COMMAND_ERROR)
            self._run(self._client.apply())
            return {}
        outcome = await self._client.apply()
        if not outcome.ok:
            raise CircusError(_both(outcome.error, outcome.hint), errno.COMMAND_ERROR)
        return {}

    async def _add(self, request: Request) -> Answer:
        await self._added.add(request)
        if request.properties.get("start"):
            await self._do("start", request.name, request)
        return {}

    async def _rm(self, request: Request) -> Answer:
        if request.properties.get("nostop"):
            what = "rm: a process without a service can't be; without nostop it is stopped"
            raise CircusError(what, errno.COMMAND_ERROR)
        await self._added.remove(request)
        return {}

    async def _scale(self, request: Request) -> Answer:
        """incr and decr."""
        service = await self._service(request)
        if service.one_shot:
            return {"numprocesses": service.wanted, "singleton": True}
        step = request.number("nb", 1)
        step = -step if request.command == "decr" else step
        count = max(0, service.wanted + step)
        await self._do("scale", service.name, request, processes=count)
        return {"numprocesses": count} if request.properties.get("waiting") else {}

    async def _set(self, request: Request) -> Answer:
        service = await self._service(request)
        options = request.need("options")
        if not isinstance(options, dict):
            raise CircusError("'options' property should be an object")
        try:
            settings = settings_of(options)
        except (ValueError, TypeError) as exc:
            raise CircusError(str(exc), errno.COMMAND_ERROR) from exc
        outcome = await self._client.configure(service.name, settings)
        if not outcome.ok:
            raise CircusError(_both(outcome.error, outcome.hint), errno.COMMAND_ERROR)
        return {}

    async def _signal(self, request: Request) -> Answer:
        service = await self._service(request)
        number, properties = _signal_number(request.need("signum")), request.properties
        child = request.number("childpid", 0)
        if child and "pid" not in properties:
            raise CircusError("cannot specify childpid without pid", errno.COMMAND_ERROR)
        for process in _meant(service, request):
            below = descendants(process.pid, recursive=bool(properties.get("recursive")))
            if child:
                below = [child]
            elif not properties.get("children"):
                await self._deliver(service.name, process, number)
                below = below if properties.get("recursive") else []
            sent = [send_signal(pid, number, below=process.pid) for pid in below]
            if child and not any(sent):
                raise CircusError(f"process {child} is no child of {process.pid}", errno.OS_ERROR)
        return {}

    async def _deliver(self, name: str, process: ProcessStatus, number: int) -> None:
        outcome = await self._client.command(
            "signal", name, signal=str(number), process=process.number
        )
        if not outcome.ok:
            raise CircusError(_both(outcome.error, outcome.hint), errno.COMMAND_ERROR)

    async def _kill(self, request: Request) -> Answer:
        """The stop signal, and KILL to what has not ended in time; the policy starts others."""
        service = await self._service(request)
        options = await self._settings.of(service)
        number = _signal_number(request.properties.get("signum") or options["stop_signal"])
        try:
            grace = float(request.properties.get("graceful_timeout") or options["graceful_timeout"])
        except (TypeError, ValueError):
            raise CircusError("'graceful_timeout' isn't a number") from None
        meant = _meant(service, request, strict=False)
        for process in meant:
            await self._deliver(service.name, process, number)
        killing = self._kill_late(service.name, meant, grace)
        if request.properties.get("waiting"):
            await killing
        else:
            self._run(killing)
        return {}

    async def _kill_late(self, name: str, meant: list[ProcessStatus], grace: float) -> None:
        end = self._clock.now() + grace
        left = meant
        while left and self._clock.now() < end:
            await asyncio.sleep(0.1)
            now = {s.name: s for s in (await self._look()).services}
            pids = {p.pid for p in _live(now[name])} if name in now else set()
            left = [p for p in left if p.pid in pids]
        for process in left:
            await self._deliver(name, process, signal.SIGKILL)

    async def _quit(self, _: Request) -> Answer:
        await self._client.shutdown()
        return {}

    def _run(self, work: Any) -> None:
        """Something that goes on after the answer; events tell how it ended."""
        task = asyncio.ensure_future(work)
        self._later.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._later.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: a supervisor that goes away meanwhile is no defect


def _live(service: ServiceStatus) -> list[ProcessStatus]:
    return [process for process in service.processes if process.pid]


def _meant(service: ServiceStatus, request: Request, *, strict: bool = True) -> list[ProcessStatus]:
    """All processes, or the one with the pid. Raises CircusError when it is not there."""
    live = _live(service)
    pid = request.number("pid", 0)
    if not pid:
        return live
    found = [process for process in live if process.pid == pid]
    if not found and strict:
        raise CircusError(f"process {pid} not found in {service.name!r}")
    return found


def _signal_number(value: Any) -> int:
    """15 for 15, "15", "TERM" and "SIGTERM". Raises CircusError."""
    try:
        name = signal_name(str(value))
        return int(name) if name.isdigit() else signal.Signals[f"SIG{name}"].value
    except (ValueError, KeyError):
        raise CircusError("signal invalid") from None


def _both(what: str, hint: str) -> str:
    return f"{what} ({hint})" if hint else what


_DEEDS: Final[dict[str, Callable[[Commands, Request], Awaitable[Answer]]]] = {
    "list": Commands._list,  # noqa: SLF001 — the class's own table
    "status": Commands._status,  # noqa: SLF001
    "numprocesses": Commands._numprocesses,  # noqa: SLF001
    "numwatchers": Commands._numwatchers,  # noqa: SLF001
    "stats": Commands._stats,  # noqa: SLF001
    "dstats": Commands._dstats,  # noqa: SLF001
    "listsockets": Commands._listsockets,  # noqa: SLF001
    "options": Commands._options,  # noqa: SLF001
    "get": Commands._get,  # noqa: SLF001
    "globaloptions": Commands._globaloptions,  # noqa: SLF001
    "start": Commands._life,  # noqa: SLF001
    "stop": Commands._life,  # noqa: SLF001
    "restart": Commands._life,  # noqa: SLF001
    "reload": Commands._reload,  # noqa: SLF001
    "reloadconfig": Commands._reloadconfig,  # noqa: SLF001
    "add": Commands._add,  # noqa: SLF001
    "rm": Commands._rm,  # noqa: SLF001
    "incr": Commands._scale,  # noqa: SLF001
    "decr": Commands._scale,  # noqa: SLF001
    "set": Commands._set,  # noqa: SLF001
    "signal": Commands._signal,  # noqa: SLF001
    "kill": Commands._kill,  # noqa: SLF001
    "quit": Commands._quit,  # noqa: SLF001
}
