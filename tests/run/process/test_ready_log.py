"""`ready.log`: a line that says so makes a process ready, whenever it was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.run.config.spec import Check, Logs, Service
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import OutputStream
from chapiteau.run.process.probes import ProbeContext, until_ready
from chapiteau.run.process.process import Process
from tests.support import wait_for_async

if TYPE_CHECKING:
    from collections.abc import Callable

STDOUT = OutputStream("web", 1, "stdout")


@pytest.fixture
def process() -> Process:
    spec = Service(command=("web",), ready=Check(log="^up$"))
    changed: Callable[[Process], None] = lambda process: None  # noqa: E731
    return Process(
        key="web.1/2", service="web", number=1, spec=spec, generation=1,
        on_change=changed, began_wall=0.0, began=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("file", ["", "none"])
async def test_a_line_that_was_written_before_anybody_followed_counts(
    tmp_path: Path, process: Process, file: str
) -> None:
    output = LogCollector(tmp_path, SystemClock())
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    output.attach(process.key, STDOUT, reader, Logs(file=file, max_size=1 << 20, max_total=0))
    os.write(writer, b"loading\nup\n")
    output.drain(process.key)
    await until_ready(process, ProbeContext(), output)
    assert process.ready
    os.close(writer)
    await wait_for_async(lambda: not list(output.held()))
    output.close()


async def test_a_line_of_the_process_before_does_not_count(
    tmp_path: Path, process: Process
) -> None:
    output = LogCollector(tmp_path, SystemClock())
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    output.attach("web.1/1", STDOUT, reader, Logs(max_size=1 << 20, max_total=0))
    os.write(writer, b"up\n")
    os.close(writer)
    await wait_for_async(lambda: not list(output.held()))
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    output.attach(process.key, STDOUT, reader, Logs(max_size=1 << 20, max_total=0))
    assert [data for _, data in output.output_of(process.key)] == [b""]
    os.write(writer, b"u")
    output.drain(process.key)
    assert [data for _, data in output.output_of(process.key)] == [b"u"]
    os.close(writer)
    await wait_for_async(lambda: not list(output.held()))
    output.close()
