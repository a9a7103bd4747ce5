"""What the fast lane leaves out must not be missed by anybody."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pyramid.request import Request
from pyramid.threadlocal import get_current_request

from chapiteau.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Any]


class Marked(Request):  # type: ignore[misc]
    """A request factory of an application's own, with a say in how a request is made."""

    def __init__(self, environ: dict[str, Any], **more: Any) -> None:
        super().__init__(environ, **more)
        self.mark = environ["PATH_INFO"]


class Plain(Request):  # type: ignore[misc]
    """One that only knows more than Pyramid's."""

    @property
    def mark(self) -> str:
        return "plain"


def _service() -> Service:
    service = Service("one", "/one")

    @service.get()
    def mark(request: Any) -> str:
        assert get_current_request() is request
        assert request.method == "GET"
        return str(request.mark)

    return service


def test_request_factories_are_honoured(build: Build) -> None:
    for factory, mark in ((Marked, "/one"), (Plain, "plain")):
        client = build(_service(), more=lambda config, f=factory: config.set_request_factory(f))
        assert client.get("/one").json() == mark
        assert get_current_request() is None


def test_unknown_parameters_are_refused_where_none_are_declared(build: Build) -> None:
    service = Service("one", "/one")
    service.add("GET", lambda: 1)
    service.add("POST", lambda: 1, unknown_query="ignore")
    client = build(service)
    assert client.get("/one").status == 200
    assert client.get("/one?a=1").status == 422
    assert client.post("/one?a=1").status == 200


def _told(number: str, q: str = "") -> str:
    return number + q


def test_a_server_may_leave_out_what_is_empty(build: Any) -> None:
    """PEP 3333: PATH_INFO and QUERY_STRING may be absent; other servers than ours do that."""
    service, root = Service("notes", "/notes/{number}"), Service("root", "/")
    service.add("GET", _told)
    root.add("POST", lambda: "root", idempotent=True)
    app = build(service, root)._app

    def ask(method: str, **environ: str) -> tuple[str, bytes]:
        said = []
        server = {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
        given = {**server, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(), **environ}
        body = b"".join(app(given, lambda status, _headers, _exc=None: said.append(status)))
        return said[0][:3], body

    assert ask("GET", PATH_INFO="/notes/7") == ("200", b'"7"')
    assert ask("POST", HTTP_IDEMPOTENCY_KEY="k") == ("200", b'"root"')
    assert ask("GET")[0] == "405"
