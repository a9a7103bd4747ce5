"""An answer as the library `requests` shows it, for scenarios that were written for that."""

import datetime
import json
import sys
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Self

from chapiteau.load.engine.response import Response
from chapiteau.load.errors import ExchangeError
from chapiteau.migrate.shims.arguments import RequestArguments

__all__ = ["CaselessDict", "HTTPError", "RequestsResponse", "error_class"]


class HTTPError(OSError):
    """`raise_for_status` found a bad status."""


def error_class(module: str, name: str, otherwise: type[Exception]) -> type[Exception]:
    """The exception that a scenario expects: its library's own, when it has imported that."""
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else otherwise


class CaselessDict(Mapping[str, str]):
    """Header fields by name, case ignored; several of a name are joined by commas."""

    def __init__(self, pairs: Any = ()) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            known = self._values.get(name.lower())
            self._values[name.lower()] = (name, f"{known[1]}, {value}" if known else value)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))


class _Content(bytes):
    """A body in which one may also look for text, as tests for Python 2 do."""

    __slots__ = ()

    def __contains__(self, what: Any) -> bool:
        return super().__contains__(what.encode() if isinstance(what, str) else what)


class RequestsResponse:
    """Status, headers and body, by the names of requests.Response.

    Without any answer the status is 0, and `error` says why. `moment` is when the request was
    meant to go out, by our clock.
    """

    def __init__(
        self, request: RequestArguments, found: Response | ExchangeError, now: float
    ) -> None:
        # Not asked for Response: the compiled engine's answers are of a class of their own.
        response = None if isinstance(found, ExchangeError) else found
        self.request = request
        self.error: Exception | None = found if isinstance(found, ExchangeError) else None
        self.moment = now - (response.seconds if response else 0.0)
        self.url = str(response.url) if response else request.url
        self.status_code = response.status if response else 0
        self.reason = response.reason if response else ""
        self.headers = CaselessDict(response.headers if response else ())
        self.content = _Content(response.body if response else b"")
        self.encoding = self.apparent_encoding = "utf-8"
        self.history: list[Any] = []
        seconds = response.service_seconds if response else 0.0
        self.elapsed = datetime.timedelta(seconds=seconds)
        self._text = response.text if response else str

    @property
    def text(self) -> str:
        """The body as text."""
        return self._text()

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return 0 < self.status_code < 400

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that this answer sets."""
        jar = SimpleCookie()
        try:
            jar.load(self.headers.get("set-cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    def json(self, **options: Any) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.content, **options)

    def raise_for_status(self) -> None:
        """Raise HTTPError (that of requests where it is imported) for a status from 400 up."""
        if self.error is not None:
            raise self.error
        if not self.ok:
            kind = error_class("requests", "HTTPError", HTTPError)
            raise kind(f"{self.status_code} {self.reason} for url: {self.url}")

    def iter_lines(self, decode_unicode: bool = False, **_more: Any) -> Iterator[Any]:
        """The body's lines."""
        yield from (self.text.splitlines() if decode_unicode else self.content.splitlines())

    def iter_content(self, chunk_size: int | None = 1, **_more: Any) -> Iterator[bytes]:
        """The body in pieces."""
        size = chunk_size or len(self.content) or 1
        yield from (self.content[i : i + size] for i in range(0, len(self.content), size))

    def close(self) -> None:
        """Nothing: the whole body is there."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> bool | None:
        return None

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"
