"""Load generators in any language: a command that prints what it did, one JSON object a line.

docs/reference/load-external.md describes the lines. A session is one run of the command.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Final

from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.workers.user_pool import RunContext

__all__ = ["count", "external_suite", "refuse"]


# Verdicts that a scenario gives by itself, and requests that it timed by itself.

_MILLION = 1_000_000


def refuse(recorder: Recorder, name: str, moment: float, why: str) -> None:
    """Count an answer as bad that was counted as good; `moment` is when it was meant to go out."""
    recorder.row(name).bad[int(moment - recorder.zero)] += 1
    # No failure of the row: an answer did come. Counted as what a scenario found wrong.
    recorder.crash(f"{name}: {why[:80]}", why)


def count(recorder: Recorder, name: str, seconds: float, moment: float, error: str = "") -> None:
    """Count something of the scenario's own as a request that ended now, at `moment`."""
    row = recorder.row(name)
    second = max(0, int(moment - seconds - recorder.zero))
    row.latency[second].append(max(0, int(seconds * _MILLION)))
    row.service.append(max(0, int(seconds * _MILLION)))
    if error:
        row.bad[second] += 1
        row.failures[error[:80]] += 1
        recorder.sample(f"{name}: {error[:80]}", error)


_GRACE: Final = 5.0  # seconds between TERM and KILL
_LONGEST_LINE: Final = 1 << 20


def external_suite(command: list[str], base: str = "") -> Suite:
    """Each session runs the command once and counts what it prints."""
    contexts: list[RunContext] = []

    async def run(session: Session) -> None:
        await _session(command, session, contexts[-1] if contexts else RunContext(0, 1, {}), base)

    return Suite((Scenario("external", run),), (Fixture("setup", "worker", contexts.append),))


async def _session(command: list[str], session: Session, context: RunContext, base: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **_environment(session, context, base)},
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
    except OSError as exc:
        raise ScenarioError(f"{command[0]}: {exc.strerror or exc}") from None
    assert process.stdout is not None  # noqa: S101 — asked for above
    assert process.stderr is not None  # noqa: S101
    errors = asyncio.ensure_future(process.stderr.read(4000))
    try:
        number = 0
        async for line in process.stdout:
            number += 1
            _count_line(line, number, session)
        code = await process.wait()
    except BaseException:
        await _end(process)
        raise
    finally:
        errors.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await errors
    if code:
        told = errors.result().decode("utf-8", "replace") if not errors.cancelled() else ""
        raise RuntimeError(f"the command ended with {code}: {told.strip()[-300:]}")


def _environment(session: Session, context: RunContext, base: str) -> dict[str, str]:
    """What the command is told."""
    return {
        "CHAPITEAU_BASE": base,
        "CHAPITEAU_USER": str(session.user),
        "CHAPITEAU_ITERATION": str(session.iteration),
        "CHAPITEAU_WORKER": str(context.worker),
        "CHAPITEAU_WORKERS": str(context.workers),
        "CHAPITEAU_SEED": str(session.random.getrandbits(63)),
        **{f"CHAPITEAU_OPTION_{k.upper()}": str(v) for k, v in context.options.items()},
    }


async def _end(process: "asyncio.subprocess.Process") -> None:
    """TERM to the command and its children, KILL to what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            async with asyncio.timeout(_GRACE):
                await process.wait()
                return
        except TimeoutError:
            continue


def _count_line(line: bytes, number: int, session: Session) -> None:
    """Count one line. Raises ScenarioError for one that says nothing known."""
    if not line.strip():
        return
    try:
        record = json.loads(line)
    except ValueError:
        raise ScenarioError(
            f"line {number} of the command's output is no JSON: {line[:80]!r}",
            hint="print what is for people on stderr",
        ) from None
    if not isinstance(record, dict) or record.get("is") not in _COUNTERS:
        kinds = ", ".join(_COUNTERS)
        raise ScenarioError(f'line {number}: "is" must be one of {kinds}, not {line[:80]!r}')
    try:
        _COUNTERS[record["is"]](record, session)
    except (KeyError, TypeError, ValueError) as exc:
        raise ScenarioError(
            f"line {number}: {type(exc).__name__}: {exc} in {line[:80]!r}"
        ) from None


def _request(record: Mapping[str, Any], session: Session) -> None:
    status = int(record.get("status", 0))
    error = str(record.get("error") or "")
    seconds = float(record["seconds"])
    if not error and status >= 400:
        error = f"status {status}"
    name = str(record["name"])
    count(session.recorder, name, seconds, session.now(), error)
    row = session.recorder.row(name)
    if status:
        row.statuses[status] += 1
    row.add_received(int(record.get("received", 0)))


def _check(record: Mapping[str, Any], session: Session) -> None:
    session.check(bool(record["good"]), str(record["label"]))


def _metric(record: Mapping[str, Any], session: Session) -> None:
    kinds: dict[str, Callable[[str, float], None]] = {
        "counter": session.counter,
        "gauge": session.gauge,
        "trend": session.trend,
    }
    kinds[str(record.get("kind", "counter"))](str(record["name"]), float(record.get("value", 1)))


_COUNTERS: Final = {"request": _request, "check": _check, "metric": _metric}
