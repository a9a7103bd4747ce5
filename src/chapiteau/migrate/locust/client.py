"""`self.client` of a locust user: as requests' session, with names and verdicts of its own."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from chapiteau.load.protocols import urls
from chapiteau.load.workers.external import refuse
from chapiteau.migrate.locust.events import CatchResponseError, EventHook, ResponseError, Steering
from chapiteau.migrate.shims.blocking import BlockingSession, HttpSession
from chapiteau.migrate.shims.responses import RequestsResponse

__all__ = ["CaughtResponse", "LocustClient", "RestCalls"]

# With catch_response the scenario decides, so that no status is bad by itself.
_ANY: Final = frozenset(range(100, 600))
_SHOWN: Final = 200  # characters of an answer in the text of a failure


class CaughtResponse:
    """An answer whose verdict the scenario gives: `with client.get(…, catch_response=True)`."""

    js: Any = None  # what `rest` puts there

    def __init__(self, client: "LocustClient", answer: RequestsResponse, row: str) -> None:
        self._client = client
        self._answer = answer
        self._row = row
        self._verdict: bool | Exception | None = None
        self.request_meta: dict[str, object] = {"name": row}

    def success(self) -> None:
        """It was good, whatever the status."""
        self._verdict = True

    def failure(self, why: Any) -> None:
        """It was bad, whatever the status."""
        self._verdict = why if isinstance(why, Exception) else CatchResponseError(str(why))

    def read_js(self) -> None:
        """Have the answer's JSON at hand as `js`; content that is none is a failure."""
        try:
            self.js = self._answer.json() if self._answer.content else None
        except ValueError as exc:
            self.failure(f"no JSON in the answer: {exc}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        verdict: Any = self._verdict
        if verdict is None and isinstance(error, Exception):
            verdict = error
        if verdict is None and not self._answer.ok:
            verdict = self._answer.error or ResponseError(f"status {self._answer.status_code}")
        self._client.judge(self._answer, self._row, None if verdict is True else verdict)
        return isinstance(error, ResponseError)  # that one only says that the answer was bad


class LocustClient(HttpSession):
    """Requests below the host, counted under the method and `name`."""

    def __init__(self, blocking: BlockingSession, base_url: str, hook: EventHook) -> None:
        super().__init__(blocking, base_url)
        self.request_name: str | None = None
        self.now = blocking.session.now
        self._hook = hook

    def request(
        self,
        method: str,
        url: str,
        *body: Any,
        name: str | None = None,
        catch_response: bool = False,
        **given: Any,
    ) -> Any:
        """Any method; `name` groups, `catch_response` leaves the verdict to the scenario."""
        request = self._prepare(method, url, body, given)
        name = name or self.request_name
        row = self._row(request.method, request.url, name)
        if name or catch_response:
            request.options["name"] = row
        if catch_response:
            request.options["expect"] = _ANY
        answer = self._blocking.send(request)
        if catch_response:
            return CaughtResponse(self, answer, row)
        error = answer.error
        if error is None and not answer.ok:
            error = ResponseError(f"status {answer.status_code}")
        self._emit(answer, row, error)
        return answer

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """All requests within count under this name."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before

    def judge(self, answer: RequestsResponse, row: str, error: Exception | None) -> None:
        """Count the scenario's verdict; no answer at all counts as bad already."""
        if error is not None and answer.error is None:
            recorder = self._blocking.session.recorder
            self._blocking.call(refuse, recorder, row, answer.moment, str(error))
        self._emit(answer, row, error)

    def _row(self, method: str, url: str, name: str | None) -> str:
        if name is None:
            path = urls.parse(urls.join(self.base_url, url)).path
            return urls.endpoint_name(method, path)
        return name if name.startswith(method + " ") else f"{method} {name}"

    def _emit(self, answer: RequestsResponse, row: str, error: Exception | None) -> None:
        if not self._hook.listeners:
            return
        method, _, name = row.partition(" ")
        self._hook.emit(
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


class RestCalls:
    """`user.rest(…)`: a JSON request whose block judges it, whatever is raised in there."""

    client: Any

    @contextmanager
    def rest(self, method: str, url: str, **given: Any) -> Iterator[CaughtResponse]:
        """A JSON request; the answer's JSON is `response.js`, None without any."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        headers |= given.pop("headers", None) or {}
        given |= {"headers": headers, "catch_response": True}
        with self.client.request(method, url, **given) as response:
            response.read_js()
            try:
                yield response
            except Steering:
                raise
            except Exception as exc:  # noqa: BLE001 — locust counts whatever a block raises
                response.failure(_reason(exc, response.text))

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


def _reason(exc: Exception, answer: str) -> str:
    """A comma at the end of an assertion's text asks for the answer behind it."""
    if isinstance(exc, AssertionError):
        text = str(exc.args[0]) if exc.args else "an assertion failed"
        return f"{text} {answer[:_SHOWN]}" if text.endswith(",") else text
    last = traceback.extract_tb(exc.__traceback__)[-1]
    place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    return f"{type(exc).__name__}: {exc} ({place})"
