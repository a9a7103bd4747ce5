"""Being at a process: what it prints as it prints it, and words into its standard input."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from chapiteau.core.errors import NotFoundError
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import LogQuery, Outcome, OutputStream
from chapiteau.run.process.process import Process
from chapiteau.run.supervisor.service_controller import ServiceController

__all__ = ["stream_output", "write_stdin"]

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
