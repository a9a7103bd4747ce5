"""What can be asked of a service, verb by verb; input for a process, and what it prints."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, TimedOutError
from chapiteau.run.config.hook_rules import hook_at
from chapiteau.run.config.spec import MAX_PROCESSES, Service
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import LogQuery, Outcome, OutputStream
from chapiteau.run.process.process import Process
from chapiteau.run.supervisor.reload import reload_one, reload_service
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.signal_numbers import signal_number

__all__ = [
    "COMMANDS",
    "Command",
    "default_timeout",
    "merge_outcomes",
    "stream_output",
    "turn",
    "write_stdin",
]

_USUAL: Final = 600.0  # seconds that a command has at least
_BRIEF: Final = {"signal": 60.0, "reopen": 60.0}  # those whose work takes no time


# Being at a process: what it prints as it prints it, and words into its standard input.

_BEHIND: Final = 1000  # pieces that a slow reader may be behind; then it misses some


def write_stdin(service: ServiceController, text: str, options: Mapping[str, Any]) -> Outcome:
    """Give a process input; `options`: `process`, `eof`, and `rows` and `columns` of a terminal."""
    number = int(options.get("process", 1))
    process = _process(service, number)
    if process.stdin is None:
        return Outcome(
            ok=False,
            error=f"{service.name}.{number} has no standard input",
            hint=f'service.{service.name}.stdin = "tty" (or "pipe") gives it one',
            exit_code=4,
        )
    if "rows" in options and "columns" in options:
        process.stdin.resize(int(options["rows"]), int(options["columns"]))
    why = process.stdin.write(text.encode()) if text else ""
    if why:
        return Outcome(ok=False, error=f"{service.name}.{number}: {why}", exit_code=4)
    if options.get("eof"):
        process.stdin.finish()
        return Outcome(ok=True, text="input closed", data={"closed": process.key})
    return Outcome(ok=True)


def stream_output(
    service: ServiceController, output: LogCollector, number: int
) -> AsyncGenerator[bytes, None]:
    """What it prints from now on, until it ends. Raises NotFoundError at once."""
    return _pieces(_process(service, number), output)


def _process(service: ServiceController, number: int) -> Process:
    replica = service.replicas.get(number)
    if replica is None or replica.process is None:
        hint = f"chapiteau start {service.name}"
        raise NotFoundError(f"{service.name}: no process {number} runs", hint=hint)
    return replica.process


async def _pieces(process: Process, output: LogCollector) -> AsyncGenerator[bytes, None]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    def deliver(_stream: OutputStream, data: bytes) -> None:
        if queue.qsize() < _BEHIND:
            queue.put_nowait(data)

    async def put_end() -> None:
        await process.until_ended()
        queue.put_nowait(b"")

    query = LogQuery(services=(process.service,), process=process.number, follow=True)
    end = asyncio.ensure_future(put_end())
    output.follow(query, deliver)
    try:
        while data := await queue.get():
            yield data
    finally:
        output.unfollow(deliver)
        end.cancel()


Options = Mapping[str, Any]
Command = Callable[[ServiceController, Options], Awaitable[Outcome]]


def _timeout(options: Options) -> float | None:
    value = options.get("timeout")
    return float(value) if value else None


async def _scale(service: ServiceController, options: Options) -> Outcome:
    count = options.get("processes")
    wanted = service.wanted + int(options.get("by", 0)) if count is None else int(count)
    if wanted < 0:
        return Outcome(ok=False, error=f"{service.name}: fewer than 0 processes", exit_code=2)
    if wanted > MAX_PROCESSES:
        error = f"{service.name}: {wanted} processes are more than {MAX_PROCESSES}"
        return Outcome(ok=False, error=error, exit_code=2)
    if service.spec.one_shot and wanted > 1:
        error = f"{service.name} is a one-shot: it has one process"
        return Outcome(ok=False, error=error, exit_code=4)
    return await service.scale(wanted, _timeout(options))


async def _signal(service: ServiceController, options: Options) -> Outcome:
    try:
        number = signal_number(str(options.get("signal", "")))
    except ValueError as exc:
        return Outcome(ok=False, error=str(exc), exit_code=2)
    process = int(options.get("process", 0))
    targets = [one for one in service.processes() if process in (0, one.number)]
    if not targets:
        return Outcome(ok=False, error=f"{service.name}: no such process runs", exit_code=3)
    whole = bool(options.get("whole"))
    refused = await asyncio.gather(
        *(service.host.deliver(one, number, whole=whole) for one in targets)
    )
    if why := next(filter(None, refused), ""):
        error = f"{service.name}: signal {number} was not sent to {sum(map(bool, refused))}: {why}"
        return Outcome(ok=False, error=error, exit_code=4)
    return Outcome(ok=True, text=f"{service.name}: signal {number} sent to {len(targets)}")


async def _start(service: ServiceController, options: Options) -> Outcome:
    return await service.start(_timeout(options), resume=bool(options.get("resume")))


async def _stop(service: ServiceController, options: Options) -> Outcome:
    if number := int(options.get("process", 0)):
        return await service.stop_one(number, _timeout(options))
    return await service.stop(_timeout(options))


async def _restart(service: ServiceController, options: Options) -> Outcome:
    if number := int(options.get("process", 0)):
        return await service.restart_one(number, _timeout(options))
    return await service.restart(_timeout(options))


async def _reload(service: ServiceController, options: Options) -> Outcome:
    number = int(options.get("process", 0))
    if service.spec.reload_signal and service.on:
        to = {"process": number} if number else {}
        return await _signal(service, {"signal": service.spec.reload_signal, **to})
    if number:
        return await reload_one(service, number)
    return await reload_service(service, timeout=_timeout(options), to=int(options.get("to", 0)))


async def _reopen(service: ServiceController, _options: Options) -> Outcome:
    service.host.reopen_logs()
    return Outcome(ok=True, text=f"{service.name}: log files reopened")


async def _renew(service: ServiceController, options: Options) -> Outcome:
    return await reload_one(service, int(options.get("process", 1)))


COMMANDS: Final[dict[str, Command]] = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "reload": _reload,
    "scale": _scale,
    "signal": _signal,
    "reopen": _reopen,
    "renew": _renew,
}


# Deadlines: those before it in the queue may be reloads that take their time.


def default_timeout(verb: str, spec: Service, processes: int) -> float:
    """Seconds that a command has when nobody says, its wait for its turn included.

    Never less than the settings allow it for its work.
    """
    if verb in _BRIEF:
        return _BRIEF[verb]
    batches = -(-max(1, processes) // spec.batch)
    one = spec.ready.start_timeout + spec.stop_timeout
    reload = batches * (one + spec.drain) + spec.canary
    hooks = sum(hook.timeout for point in spec.hooks if (hook := hook_at(spec, point)) is not None)
    return max(_USUAL, reload + hooks)


@asynccontextmanager
async def turn(service: ServiceController, verb: str, limit: float) -> AsyncGenerator[None]:
    """Wait for the commands before it, seconds at most. Raises TimedOutError."""
    try:
        async with asyncio.timeout(limit):
            await service.lock.acquire()
    except TimeoutError:
        raise TimedOutError(
            f"{service.name}: {verb} was given up after {limit:g} s behind another command",
            hint=f"`chapiteau stop {service.name}` ends that one",
        ) from None
    try:
        yield
    finally:
        service.lock.release()


def merge_outcomes(results: dict[str, Outcome]) -> Outcome:
    """One answer for several services: partial failure is shown as such."""
    if len(results) == 1:
        return next(iter(results.values()))
    bad = {name: one for name, one in results.items() if not one.ok}
    data = {"services": {name: one.to_dict() for name, one in results.items()}}
    good = "\n".join(one.text for one in results.values() if one.ok)
    if not bad:
        return Outcome(ok=True, text=good, data=data)
    code = 7 if len(bad) < len(results) else next(iter(bad.values())).exit_code
    errors = "\n".join(one.error for one in bad.values())
    hint = next((one.hint for one in bad.values() if one.hint), "")
    return Outcome(ok=False, text=good, error=errors, hint=hint, exit_code=code, data=data)
