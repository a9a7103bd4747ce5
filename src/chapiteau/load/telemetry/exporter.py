"""Sends a running test's numbers to monitoring systems, beside the measurement."""

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Final, Self

from chapiteau.io.notifier import DeliveryError, http_post
from chapiteau.io.telemetry import statsd_packets
from chapiteau.load.stats.totals import Totals
from chapiteau.load.telemetry.addresses import ExportTarget, parse_export_target
from chapiteau.load.telemetry.metrics import (
    Labels,
    Metric,
    collect_metrics,
    otlp_body,
    statsd_lines,
)

__all__ = ["Exporter"]

_TIMEOUT: Final = 5.0  # seconds for one message
_WAITING: Final = 60  # seconds of numbers that wait for a slow system before the oldest are lost
_LAST: Final = 6.0  # seconds at the end for what still waits
_AGAIN: Final = 1.0  # seconds until a system that is away is tried again
_SLOW: Final = "it is too slow"


class Exporter:
    """All systems that a test tells its numbers. Use it with `async with`.

    A system that is slow or gone costs its numbers, never the test; `problems` says how many.
    """

    def __init__(
        self, targets: Sequence[str], headers: Mapping[str, str], labels: Labels, started: float
    ) -> None:
        self._told = 0  # seconds that have been told
        self._senders = [
            _Sender(parse_export_target(text), headers, labels, started) for text in targets
        ]  # fmt: skip

    async def __aenter__(self) -> Self:
        for sender in self._senders:
            sender.thread.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for sender in self._senders:
            sender.ending.set()
            sender.waiting.put(None)
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAST
        for sender in self._senders:
            await asyncio.to_thread(sender.thread.join, max(0.0, until - loop.time()))
            sender.close()

    def second(self, second: int, totals: Totals, now: float) -> None:
        """Tell what the second before this one has brought: it is nearly whole now."""
        if self._senders and second >= 1:
            self._told = second
            self.tell(collect_metrics(totals, second - 1), now)

    def rest(self, totals: Totals, now: float) -> None:
        """Tell the last seconds, when the load has ended."""
        if self._senders:
            last = max(totals.series[""], default=-1)
            for second in range(self._told, last + 1):
                self.tell(collect_metrics(totals, second), now - (last - second))

    def tell(self, metrics: list[Metric], moment: float) -> None:
        """Hand the numbers of a moment (seconds since 1970) over; does not wait."""
        for sender in self._senders:
            sender.offer((metrics, moment))

    @property
    def problems(self) -> list[str]:
        """What could not be sent, one line for each system."""
        return [
            f"export to {s.target}: {s.lost} of {s.lost + s.sent} messages were lost ({s.why})"
            for s in self._senders
            if s.lost
        ]


class _Sender:
    """One system, with its thread."""

    def __init__(
        self, target: ExportTarget, headers: Mapping[str, str], labels: Labels, started: float
    ) -> None:
        self.target = target
        self.sent = self.lost = self._offered = 0
        self.why = ""
        self.waiting: queue.Queue[tuple[list[Metric], float] | None] = queue.Queue()
        self.ending = threading.Event()  # nothing is tried twice any more
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"export {target}")
        self._headers = dict(headers)
        self._labels = labels
        self._started = started
        self._before: dict[tuple[str, Labels], float] = {}

    def close(self) -> None:
        """What still waits now is lost: the program ends, and the thread with it."""
        left = self._offered - self.sent - self.lost
        if left > 0:
            self.lost += left
            self.why = self.why or _SLOW

    def offer(self, told: tuple[list[Metric], float]) -> None:
        self._offered += 1
        if self.waiting.qsize() >= _WAITING:
            with contextlib.suppress(queue.Empty):
                self.waiting.get_nowait()
                self.lost += 1
                self.why = self.why or _SLOW
        self.waiting.put(told)

    def _run(self) -> None:
        while (told := self.waiting.get()) is not None:
            while why := self._kept_off(told):
                # One that is being restarted gets what it missed; the oldest goes when others wait.
                if self.ending.is_set() or self.waiting.qsize() >= _WAITING:
                    self._missed(why)
                    break
                self.ending.wait(_AGAIN)

    def _kept_off(self, told: tuple[list[Metric], float]) -> str:
        """Why a message could not be handed over now but may be later; "" when it is done with."""
        try:
            self._send(*told)
            self.sent += 1
        except DeliveryError as exc:
            if not exc.lasting:
                return str(exc)
            self._missed(str(exc))
        except OSError as exc:
            self._missed(str(exc) or type(exc).__name__)
        return ""

    def _missed(self, why: str) -> None:
        self.lost += 1
        self.why = why

    def _send(self, metrics: list[Metric], moment: float) -> None:
        target = self.target
        if target.form == "statsd":
            self._send_packets(metrics)
            return
        body = otlp_body(metrics, self._labels, int(self._started * 1e9), int(moment * 1e9))
        headers = {"Content-Type": "application/json", **self._headers}
        http_post(target.url, body, headers, _TIMEOUT)

    def _send_packets(self, metrics: list[Metric]) -> None:
        lines = statsd_lines(metrics, self._before, self._labels, tags=self.target.tags)
        kind = socket.AF_INET6 if ":" in self.target.host else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as out:
            for packet in statsd_packets(lines):
                out.sendto(packet, (self.target.host, self.target.port))
        self._before = {(m.name, m.labels): m.value for m in metrics if m.kind == "counter"}
