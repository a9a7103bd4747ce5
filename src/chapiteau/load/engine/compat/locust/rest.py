"""`user.rest(…)`: a JSON request whose block judges it, whatever is raised in there."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from chapiteau.load.engine.compat.locust.client import CaughtResponse, LocustClient
from chapiteau.load.engine.compat.locust.errors import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

__all__ = ["RestCalls"]

_SHOWN: Final = 200  # characters of an answer in the words of a failure
_STEERING: Final = (
    InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser,
)  # fmt: skip


class RestCalls:
    """For users with an HTTP client."""

    client: Any

    @contextmanager
    def rest(self, method: str, url: str, **given: Any) -> Iterator[CaughtResponse]:
        """A JSON request; the answer's JSON is `response.js`, None without any."""
        client: LocustClient = self.client
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        headers |= given.pop("headers", None) or {}
        given |= {"headers": headers, "catch_response": True}
        with client.request(method, url, **given) as response:
            response.js = None
            try:
                response.js = response.json() if response.content else None
            except ValueError as exc:
                response.failure(f"no JSON in the answer: {exc}")
            try:
                yield response
            except _STEERING:
                raise
            except Exception as exc:  # noqa: BLE001 — locust counts whatever a block raises
                response.failure(_told(exc, response.text))

    @contextmanager
    def rest_(
        self, method: str, url: str, name: str | None = None, **given: Any
    ) -> Iterator[CaughtResponse]:
        """The same past all caches: with a query parameter that is new each time."""
        mark = "&" if "?" in url else "?"
        moment = int(self.client.now() * 1000)
        name = name or f"{url}{mark}_=..."
        with self.rest(method, f"{url}{mark}_={moment}", name=name, **given) as response:
            yield response


def _told(exc: Exception, answer: str) -> str:
    """A comma at the end of an assertion's words asks for the answer behind them."""
    if isinstance(exc, AssertionError):
        words = str(exc.args[0]) if exc.args else "an assertion failed"
        return f"{words} {answer[:_SHOWN]}" if words.endswith(",") else words
    last = traceback.extract_tb(exc.__traceback__)[-1]
    place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    return f"{type(exc).__name__}: {exc} ({place})"
