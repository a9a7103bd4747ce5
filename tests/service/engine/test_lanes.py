"""What the fast lane leaves out must not be missed by anybody."""

from __future__ import annotations

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
