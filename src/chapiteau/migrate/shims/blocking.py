"""Requests out of a thread, over a session that lives in the loop: measured as all others are.

A request costs two changes of threads, which is why scenarios of this kind reach about a tenth of
the rate of an `async def` (docs/how-to/migrate-from-locust.md).
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.migrate.shims.arguments import RequestArguments, read_arguments
from chapiteau.migrate.shims.responses import RequestsResponse, answer_of

__all__ = ["BlockingSession", "Cookies", "Cut", "HttpSession", "ThreadPool"]


# Threads for scenario code that blocks: a free one takes each call, or a new one does.
#
# They are daemons: a scenario that sleeps for an hour does not hold the load process back at its
# end, as the threads of concurrent.futures would.

T = TypeVar("T")
_Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class ThreadPool:
    """Runs blocking calls for the loop."""

    def __init__(self) -> None:
        self._free: list[_Hand] = []  # touched in the loop's thread only

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns or raises, without holding the loop up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        hand = self._free.pop() if self._free else _Hand()
        hand.take(function, future, loop, lambda: self._free.append(hand))
        return await future


class _Hand:
    """One thread, with one call at a time."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[_Work, Callable[[], None]]] = queue.SimpleQueue()
        threading.Thread(target=self._live, name="scenario", daemon=True).start()

    def take(
        self,
        function: Callable[[], Any],
        future: "asyncio.Future[Any]",
        loop: asyncio.AbstractEventLoop,
        done: Callable[[], None],
    ) -> None:
        self._work.put(((function, future, loop), done))

    def _live(self) -> None:
        while True:
            (function, future, loop), done = self._work.get()
            error: BaseException | None = None
            value: Any = None
            try:
                value = function()
            except BaseException as exc:  # noqa: BLE001 — it is raised where it is awaited
                error = exc
            try:
                loop.call_soon_threadsafe(_settle, future, value, error, done)
            except RuntimeError:
                return  # the loop is closed: the run is over
            # Kept in no variable: a traceback would hold the scenario's objects until the next.
            del function, future, value, error, done


def _settle(
    future: "asyncio.Future[Any]", value: Any, error: BaseException | None, done: Callable[[], None]
) -> None:
    done()
    if future.done():
        return  # cut off meanwhile
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the scenario raised StopIteration"))
    else:
        future.set_exception(error)


class Cut(BaseException):
    """The session was cut off; nothing more is sent. No scenario's `except Exception` keeps it."""


class BlockingSession:
    """The thread's end of one virtual user's session."""

    def __init__(self, session: Session, crew: ThreadPool) -> None:
        self.session = session
        self._crew = crew
        self._loop = asyncio.get_running_loop()
        self._cut = False

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run blocking code of the scenario in a thread of the crew."""
        self._cut = False
        try:
            return await self._crew.run(function)
        except asyncio.CancelledError:
            self._cut = True
            raise
        except Cut:
            return None

    def send(self, request: RequestArguments) -> RequestsResponse:
        """Send it and wait for the answer. A network error gives an answer with status 0."""
        if self._cut:
            raise Cut
        return asyncio.run_coroutine_threadsafe(self._send(request), self._loop).result()

    async def _send(self, request: RequestArguments) -> RequestsResponse:
        found: Response | ExchangeError
        try:
            found = await self.session.request(request.method, request.url, **request.options)
        except ExchangeError as exc:
            found = exc
        return answer_of(request, found, self.session.now())

    def tell(self, function: Callable[..., Any], *args: Any) -> None:
        """Count something in the loop's thread, where counting is safe."""
        self._loop.call_soon_threadsafe(function, *args)


class HttpSession:
    """A session as that of requests: get, post … with params, data, json, headers, auth."""

    def __init__(self, blocking: BlockingSession, base_url: str = "") -> None:
        self.base_url = base_url
        self.headers: dict[str, str] = {}
        self.auth: Any = None
        self.verify: Any = True
        self.params: dict[str, Any] = {}
        self.cookies = Cookies(blocking.session, lambda: self.base_url)
        self._blocking = blocking

    def request(self, method: str, url: str, **given: Any) -> Any:
        """Any method."""
        return self._blocking.send(self._asked(method, url, given))

    def get(self, url: str, **given: Any) -> Any:
        """GET."""
        return self.request("GET", url, **given)

    def post(self, url: str, data: Any = None, json: Any = None, **given: Any) -> Any:
        """POST."""
        return self.request("POST", url, data=data, json=json, **given)

    def put(self, url: str, data: Any = None, **given: Any) -> Any:
        """PUT."""
        return self.request("PUT", url, data=data, **given)

    def patch(self, url: str, data: Any = None, **given: Any) -> Any:
        """PATCH."""
        return self.request("PATCH", url, data=data, **given)

    def delete(self, url: str, **given: Any) -> Any:
        """DELETE."""
        return self.request("DELETE", url, **given)

    def head(self, url: str, **given: Any) -> Any:
        """HEAD."""
        return self.request("HEAD", url, **given)

    def options(self, url: str, **given: Any) -> Any:
        """OPTIONS."""
        return self.request("OPTIONS", url, **given)

    def close(self) -> None:
        """Nothing: connections belong to the load process."""

    def mount(self, *_adapters: Any) -> None:
        """Nothing: there are no adapters."""

    def _asked(self, method: str, url: str, given: dict[str, Any]) -> RequestArguments:
        """The request with what the session adds to it."""
        headers = {**self.headers, **(given.get("headers") or {})}
        auth = given.get("auth") if given.get("auth") is not None else self.auth
        merged: dict[str, Any] = {**given, "headers": headers, "auth": auth}
        if self.params:
            merged["params"] = {**self.params, **(given.get("params") or {})}
        return read_arguments(method, self._absolute(url), merged)

    def _absolute(self, url: str) -> str:
        if self.base_url and not url.startswith(("http://", "https://")):
            return urls.join(self.base_url, url)
        return url


class Cookies:
    """The user's cookies, by name, as scenarios set and read them."""

    def __init__(self, session: Session, base: Callable[[], str]) -> None:
        self._session = session
        self._base = base

    def get(self, name: str, default: Any = None, **_more: Any) -> Any:
        """The value of a cookie."""
        return self._session.cookies.get(name) or default

    def set(self, name: str, value: str, domain: str = "", **_more: Any) -> None:
        """Put one in; without a domain it goes to the base URL's host."""
        host = domain.lstrip(".") or urls.parse(self._base()).host
        self._session.cookies.set(name, str(value), host)

    def get_dict(self, **_more: Any) -> dict[str, str]:
        """All of them, by name."""
        return {one.name: one.value for one in self._session.cookies.kept.values()}

    def items(self) -> Any:
        """Pairs of name and value."""
        return self.get_dict().items()

    def update(self, other: Any) -> None:
        """Put several in."""
        for name, value in dict(other).items():
            self.set(name, value)

    def clear(self) -> None:
        """Forget all of them."""
        self._session.cookies = type(self._session.cookies)()

    def __getitem__(self, name: str) -> str:
        value = self._session.cookies.get(name)
        if not value:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._session.cookies.get(name))
