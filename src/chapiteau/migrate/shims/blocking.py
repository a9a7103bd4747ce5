"""Requests out of a thread, over a session that lives in the loop: measured as all others are.

A request costs two changes of threads, which is why scenarios of this kind reach about a tenth of
the rate of an `async def` (docs/how-to/migrate-from-locust.md).
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.migrate.shims.arguments import RequestArguments, read_arguments
from chapiteau.migrate.shims.responses import RequestsResponse

__all__ = ["BlockingSession", "Cut", "HttpSession", "ThreadPool"]

T = TypeVar("T")


class ThreadPool:
    """Threads for scenario code that blocks: a free one takes each call, or a new one does.

    They are daemons: a scenario that sleeps for an hour does not hold the load process back at its
    end, as the threads of concurrent.futures would.
    """

    def __init__(self) -> None:
        self._free: list[queue.SimpleQueue[Callable[[], None]]] = []  # touched by the loop only

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns or raises, without holding the loop up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        work = self._free.pop() if self._free else self._thread()

        def settle(value: Any, error: BaseException | None) -> None:
            self._free.append(work)
            if future.done():
                return  # cut off meanwhile
            if isinstance(error, StopIteration):
                error = RuntimeError("the scenario raised StopIteration")
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def settle_soon(value: Any, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(settle, value, error)

        work.put(partial(_call, function, settle_soon))
        return await future

    def _thread(self) -> "queue.SimpleQueue[Callable[[], None]]":
        work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(work,), name="scenario", daemon=True).start()
        return work


def _work(work: "queue.SimpleQueue[Callable[[], None]]") -> None:
    while True:
        # Kept in no variable: a traceback would hold the scenario's objects until the next.
        work.get()()


def _call(
    function: Callable[[], Any], settle: Callable[[Any, BaseException | None], object]
) -> None:
    value: Any = None
    error: BaseException | None = None
    try:
        value = function()
    except BaseException as exc:  # noqa: BLE001 — it is raised where it is awaited
        error = exc
    try:
        settle(value, error)
    except RuntimeError:
        raise SystemExit from None  # the loop is closed: the run is over, and so is this thread
    finally:
        del error


class Cut(BaseException):
    """The session was cut off; nothing more is sent. No scenario's `except Exception` keeps it."""


class BlockingSession:
    """The thread's end of one virtual user's session."""

    def __init__(self, session: Session, threads: ThreadPool) -> None:
        self.session = session
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._cut = False

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run blocking code of the scenario in a thread."""
        self._cut = False
        try:
            return await self._threads.run(function)
        except asyncio.CancelledError:
            self._cut = True
            raise
        except Cut:
            return None

    def wait(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """From a thread: what a coroutine function gives, run in the loop."""
        if self._cut:
            raise Cut
        return asyncio.run_coroutine_threadsafe(work(*args), self._loop).result()

    def send(self, request: RequestArguments) -> RequestsResponse:
        """Send it and wait for the answer. A network error gives an answer with status 0."""
        return self.wait(self._send, request)

    async def _send(self, request: RequestArguments) -> RequestsResponse:
        found: Response | ExchangeError
        try:
            found = await self.session.request(request.method, request.url, **request.options)
        except ExchangeError as exc:
            found = exc
        return RequestsResponse(request, found, self.session.now())

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Count something in the loop's thread, where counting is safe."""
        self._loop.call_soon_threadsafe(function, *args)


def _verb(method: str) -> Callable[..., Any]:
    def call(self: "HttpSession", url: str, *body: Any, **given: Any) -> Any:
        return self.request(method, url, *body, **given)

    return call


class HttpSession:
    """A session as that of requests: get, post … with params, data, json, headers, auth."""

    def __init__(self, blocking: BlockingSession, base_url: str = "") -> None:
        self.base_url = base_url
        self.headers: dict[str, str] = {}
        self.auth: Any = None
        self.verify: Any = True
        self.params: dict[str, object] = {}
        self.cookies = _Cookies(blocking.session, lambda: self.base_url)
        self._blocking = blocking

    def request(self, method: str, url: str, *body: Any, **given: Any) -> Any:
        """Any method; `data` and `json` may come by position."""
        return self._blocking.send(self._prepare(method, url, body, given))

    get, post, put, patch = _verb("GET"), _verb("POST"), _verb("PUT"), _verb("PATCH")
    delete, head, options = _verb("DELETE"), _verb("HEAD"), _verb("OPTIONS")

    def close(self) -> None:
        """Nothing: connections belong to the load process."""

    def mount(self, *_adapters: Any) -> None:
        """Nothing: there are no adapters."""

    def _prepare(
        self, method: str, url: str, body: tuple[Any, ...], given: Mapping[str, Any]
    ) -> RequestArguments:
        """The request with what the session adds to it."""
        given = {**dict(zip(("data", "json"), body, strict=False)), **given}
        headers = {**self.headers, **(given.get("headers") or {})}
        auth = given.get("auth") if given.get("auth") is not None else self.auth
        merged: dict[str, object] = {**given, "headers": headers, "auth": auth}
        if self.params:
            merged["params"] = {**self.params, **(given.get("params") or {})}
        if self.base_url and not url.startswith(("http://", "https://")):
            url = urls.join(self.base_url, url)
        return read_arguments(method, url, merged)


class _Cookies:
    """The user's cookies, by name, as scenarios set and read them."""

    def __init__(self, session: Session, base: Callable[[], str]) -> None:
        self._session = session
        self._base = base

    def get(self, name: str, default: Any = None, **_more: Any) -> Any:
        """The value of a cookie."""
        return self._session.cookies.get(name) or default

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

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
        self._session.cookies.kept.clear()

    def __getitem__(self, name: str) -> str:
        if not (value := self._session.cookies.get(name)):
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._session.cookies.get(name))
