"""Sends every line of output to a collector of OpenTelemetry, by OTLP/HTTP."""

import asyncio
import gzip
import json
import random
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chapiteau.core.text import at_least, detect_level
from chapiteau.io.notifier import DeliveryError, http_post
from chapiteau.io.telemetry import LogRecord, Text, encode_logs, otlp_attributes
from chapiteau.io.version import own_version
from chapiteau.run.config.plugin_settings import OtlpOptions
from chapiteau.run.logs.messages import LogLine
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["LogExporter", "export_request"]


# Severity numbers: https://opentelemetry.io/docs/specs/otel/logs/data-model/
_SEVERITY: Final = {
    "trace": 1, "debug": 5, "info": 9, "notice": 10, "warning": 13, "warn": 13, "error": 17,
    "err": 17, "critical": 21, "fatal": 21, "panic": 24, "emerg": 24,
}  # fmt: skip
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_SPAN: Final = re.compile(r"[0-9a-f]{16}")


def export_request(lines: Iterable[LogLine], facts: Mapping[str, str], version: str) -> bytes:
    """An ExportLogsServiceRequest; `facts` are attributes of every resource.

    A line that is a JSON object gives its trace_id and span_id to the record.
    """
    resources: dict[tuple[str, int], list[LogRecord]] = {}
    for line in lines:
        resources.setdefault((line.service, line.process), []).append(_record(line))
    groups = [(_resource(facts, *key), records) for key, records in resources.items()]
    return encode_logs(groups, version)


def _resource(facts: Mapping[str, str], service: str, process: int) -> dict[str, str]:
    instance = f"{facts.get('host.name', '')}/{service}.{process}"
    return {**facts, "service.name": service, "service.instance.id": instance}


def _record(line: LogLine) -> LogRecord:
    level, at = detect_level(line.text), str(int(line.time * 1e6) * 1000)
    trace, span = _ids(line.text)
    return LogRecord(
        time_unix_nano=at,
        observed_time_unix_nano=at,
        body=Text(string_value=line.text),
        attributes=otlp_attributes({"log.iostream": line.stream}),
        severity_number=_SEVERITY[level] if level else 0,
        severity_text=level.upper(),
        trace_id=trace,
        span_id=span,
    )


def _ids(text: str) -> tuple[str, str]:
    """Trace and span that a line of JSON belongs to."""
    if not text.startswith("{"):
        return "", ""
    try:
        own = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    trace, span = str(own.get("trace_id", "")).lower(), str(own.get("span_id", "")).lower()
    return trace if _TRACE.fullmatch(trace) else "", span if _SPAN.fullmatch(span) else ""


_FIRST_PAUSE: Final = 1.0  # seconds before the second try
_LONGEST_PAUSE: Final = 60.0


class LogExporter(Plugin):
    """A collector that is away is waited for: the lines stay in their files meanwhile."""

    Options = OtlpOptions
    options: OtlpOptions

    async def started(self) -> None:
        """Put together what every request carries."""
        rule = self.options
        self._facts = {
            "service.namespace": self.around.project,
            "host.name": socket.gethostname(),
            **rule.attributes,
        }
        self._headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            **self.headers("headers", rule.headers),
        }
        self._chance = random.Random()  # noqa: S311 — jitter, not secrets
        self._away = False

    def wants(self, service: str) -> bool:
        """Those that the setting names."""
        return self.fits(service, self.options.services)

    async def on_lines(self, lines: list[LogLine]) -> None:
        """Send them; come back only when they have been taken, or refused for good."""
        level = self.options.level
        chosen = [line for line in lines if not level or at_least(line.text, level)]
        if not chosen:
            return
        body = export_request(chosen, self._facts, own_version())
        data = await asyncio.to_thread(gzip.compress, body, 6)
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await asyncio.to_thread(
                    http_post, self.options.url, data, self._headers, self.options.timeout
                )
            except DeliveryError as exc:
                if exc.lasting:
                    await self._lost(len(chosen), str(exc))
                    return
                await self._wait(exc, pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                await self._taken(answer)
                return

    async def _wait(self, exc: DeliveryError, pause: float) -> None:
        if not self._away:
            self._away = True
            await self.say(f"the collector does not take lines: {exc}; they wait in their files")
        await asyncio.sleep(max(exc.again_in, pause * self._chance.uniform(0.8, 1.2)))

    async def _taken(self, answer: bytes) -> None:
        if self._away:
            self._away = False
            await self.say("the collector takes lines again", resolved=True)
        try:
            partial: dict[str, Any] = json.loads(answer or b"{}").get("partialSuccess") or {}
            refused = int(partial.get("rejectedLogRecords", 0))
        except (ValueError, AttributeError, TypeError):
            return
        if refused:
            await self._lost(refused, str(partial.get("errorMessage", "refused")))

    async def _lost(self, count: int, why: str) -> None:
        await self.say(f"{count} lines were refused by the collector: {why}", lost=count)
