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


def write_stdin(runner: ServiceController, text: str, options: Mapping[str, Any]) -> Outcome:
    """Give a process input; `options`: `process`, `eof`, and `rows` and `columns` of a terminal."""
    process = int(options.get("process", 1))
    instance = _instance(runner, process)
    if instance.entry is None:
        return Outcome(
            ok=False,
            error=f"{runner.name}.{process} has no standard input",
            hint=f'service.{runner.name}.stdin = "tty" (or "pipe") gives it one',
            exit_code=4,
        )
    if "rows" in options and "columns" in options:
        instance.entry.resize(int(options["rows"]), int(options["columns"]))
    why = instance.entry.write(text.encode()) if text else ""
    if why:
        return Outcome(ok=False, error=f"{runner.name}.{process}: {why}", exit_code=4)
    if options.get("eof"):
        instance.entry.finish()
        return Outcome(ok=True, text="input closed", data={"closed": instance.key})
    return Outcome(ok=True)


def stream_output(
    runner: ServiceController, output: LogCollector, process: int
) -> AsyncGenerator[bytes, None]:
    """What it prints from now on, until it ends. Raises NotFoundError at once."""
    return _pieces(_instance(runner, process), output)


def _instance(runner: ServiceController, process: int) -> Process:
    slot = runner.slots.get(process)
    if slot is None or slot.instance is None:
        raise NotFoundError(
            f"{runner.name}: no process {process} runs", hint=f"chapiteau start {runner.name}"
        )
    return slot.instance


async def _pieces(instance: Process, output: LogCollector) -> AsyncGenerator[bytes, None]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    def deliver(_stream: OutputStream, data: bytes) -> None:
        if queue.qsize() < _BEHIND:
            queue.put_nowait(data)

    def ended() -> None:
        queue.put_nowait(b"")

    query = LogQuery(services=(instance.service,), process=instance.number, follow=True)
    instance.on_end.append(ended)
    output.follow(query, deliver)
    try:
        while data := await queue.get():
            yield data
    finally:
        output.unfollow(deliver)
        if ended in instance.on_end:
            instance.on_end.remove(ended)
