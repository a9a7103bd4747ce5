"""`self.client` of a locust user: as requests' session, with names and verdicts of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from chapiteau.load.engine.compat.answers import Answer
from chapiteau.load.engine.compat.blocking import Blocking, HttpSession
from chapiteau.load.engine.compat.judging import refuse
from chapiteau.load.engine.compat.locust.errors import CatchResponseError, ResponseError
from chapiteau.load.engine.compat.locust.events import EventHook
from chapiteau.load.logic import urls

__all__ = ["CaughtResponse", "FastLocustClient", "LocustClient"]

# With catch_response the scenario decides, so that no status is bad by itself.
_ANY: Final = frozenset(range(100, 600))


class CaughtResponse:
    """An answer whose verdict the scenario gives: `with client.get(…, catch_response=True)`."""

    js: Any = None  # what `rest` puts there

    def __init__(self, client: "LocustClient", answer: Answer, row: str) -> None:
        self._client = client
        self._answer = answer
        self._row = row
        self._verdict: bool | Exception | None = None
        self.request_meta: dict[str, Any] = {"name": row}

    def success(self) -> None:
        """It was good, whatever the status."""
        self._verdict = True

    def failure(self, why: Any) -> None:
        """It was bad, whatever the status."""
        self._verdict = why if isinstance(why, Exception) else CatchResponseError(str(why))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        verdict: Any = self._verdict
        if verdict is None and error is not None:
            verdict = error if isinstance(error, Exception) else None
        if verdict is None and not self._answer.ok:
            verdict = self._answer.error or ResponseError(f"status {self._answer.status_code}")
        self._client.judged(self._answer, self._row, None if verdict is True else verdict)
        return isinstance(error, ResponseError)  # that one only says that the answer was bad


class LocustClient(HttpSession):
    """Requests below the host, counted under the method and `name`."""

    def __init__(self, blocking: Blocking, base_url: str, hook: EventHook) -> None:
        super().__init__(blocking, base_url)
        self.request_name: str | None = None
        self.now = blocking.session.now
        self._hook = hook

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        catch_response: bool = False,
        **given: Any,
    ) -> Any:
        """Any method; `name` groups, `catch_response` leaves the verdict to the scenario."""
        asked = self._asked(method, url, given)
        name = name or self.request_name
        row = self._row(asked.method, asked.url, name)
        if name or catch_response:
            asked.options["name"] = row
        if catch_response:
            asked.options["expect"] = _ANY
        answer = self._blocking.send(asked)
        if catch_response:
            return CaughtResponse(self, answer, row)
        error = answer.error
        if error is None and not answer.ok:
            error = ResponseError(f"status {answer.status_code}")
        self._tell(answer, row, error)
        return answer

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """All requests within count under this name."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before

    def judged(self, answer: Answer, row: str, error: Exception | None) -> None:
        """The scenario has made up its mind."""
        if error is not None and answer.error is None:  # no answer counts as bad already
            self._blocking.tell(
                refuse, self._blocking.session.tally, row, answer.moment, str(error)
            )
        self._tell(answer, row, error)

    def _row(self, method: str, url: str, name: str | None) -> str:
        if name is None:
            return urls.row_name(method, urls.parse(urls.join(self.base_url, url)).path)
        return name if name.startswith(method + " ") else f"{method} {name}"

    def _tell(self, answer: Answer, row: str, error: Exception | None) -> None:
        if not self._hook.listeners:
            return
        method, _, name = row.partition(" ")
        self._hook.tell(
            {
                "request_type": method,
                "name": name,
                "response_time": answer.elapsed.total_seconds() * 1000,
                "response_length": len(answer.content),
                "response": answer,
                "context": {},
                "exception": error,
                "start_time": 0.0,
                "url": answer.url,
            }
        )


class FastLocustClient(LocustClient):
    """`self.client` of FastHttpUser: the same, since both are ours."""
