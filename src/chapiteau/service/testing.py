"""Try a service without a server: requests go straight into the application.

client = Client(make())
answer = client.post("/notes", json={"text": "hello"})
assert answer.status == 201
"""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import msgspec

__all__ = ["Client", "TestAnswer"]

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class _Headers(dict[str, str]):
    """Kept by lower-case names, found by any."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary's."""
        return super().get(name.lower(), default)


class TestAnswer:
    """An answer as a client sees it; header names in any case."""

    __test__ = False  # pytest: this is no test class

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status[:3])
        self.reason = status[4:]
        self.header_list = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<TestAnswer {self.status} {self.body[:200]!r}>"

    @property
    def headers(self) -> dict[str, str]:
        """Headers by name, in any case; repeated ones joined by commas."""
        found = _Headers()
        for name, value in self.header_list:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return msgspec.json.decode(self.body)

    def value(self, kind: Any) -> Any:
        """The body as a typed value. Raises msgspec.ValidationError when it is none."""
        return msgspec.json.decode(self.body, type=kind)


class Client:
    """Calls a WSGI application; `headers` go with every request.

    From then on the application holds every answer against the type that its handler declares: a
    wrong one is a 500, and the log says which.
    """

    def __init__(self, app: Application, *, headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        application = getattr(app, "registry", {}).get("chapiteau.service")
        if application is not None:
            application.check_answers()
        self.headers = dict(headers or {})

    def get(self, path: str, **options: Any) -> TestAnswer:
        """GET."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> TestAnswer:
        """HEAD."""
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> TestAnswer:
        """POST `json=` or `body=`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestAnswer:
        """PUT `json=` or `body=`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestAnswer:
        """PATCH `json=` or `body=`."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestAnswer:
        """DELETE."""
        return self.request("DELETE", path, **options)

    def options(self, path: str, **options: Any) -> TestAnswer:
        """OPTIONS."""
        return self.request("OPTIONS", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = msgspec.UNSET,
        body: bytes = b"",
    ) -> TestAnswer:
        """Any method. `query` is added to what the path may hold; `json` sets the content type."""
        sent = {**self.headers, **(headers or {})}
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        environ = _environ(method, path, query or {}, sent, body)
        got: list[Any] = []

        def start(status: str, fields: list[tuple[str, str]], _exc_info: Any = None) -> None:
            got[:] = [status, fields]

        pieces = self._app(environ, start)
        try:
            data = b"".join(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return TestAnswer(got[0], list(got[1]), data)


_QUERY = "/%:@!$&'()*+,;=-._~?[]"


def _environ(
    method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], body: bytes
) -> Environ:
    plain, _, text = path.partition("?")
    more = urlencode(query, doseq=True)
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(quote(plain, safe="/%:@!$&'()*+,;=-._~")).decode("latin-1"),
        "QUERY_STRING": "&".join(part for part in (quote(text, safe=_QUERY), more) if part),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        special = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        environ[key if special else f"HTTP_{key}"] = value
    return environ
