"""What the fast path leaves out must not be missed by anybody."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy.orm
import zope.sqlalchemy
from pyramid.httpexceptions import HTTPConflict
from pyramid.request import Request
from pyramid.threadlocal import get_current_request

from chapiteau.service import ProblemError, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


class RefusedOrderError(ProblemError):
    """An order that must not be kept."""

    status = 409
    code = "refused-order"
    title = "The order is refused"


def _orders(keep: Callable[[Any, int], None] = lambda _request, _count: None) -> Service:
    """Orders of several kinds of outcome, each kept before it is looked at."""
    service = Service("orders", "/orders/{count}")

    @service.post()
    def order(request: Any, count: int) -> int:
        keep(request, count)
        errors = {409: RefusedOrderError("no"), 410: HTTPConflict(), 500: RuntimeError("defect")}
        if count in errors:
            raise errors[count]
        return count

    return service


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/orders/1", 200, None),
        ("/orders/409", 409, RefusedOrderError),
        ("/orders/410", 409, HTTPConflict),
        ("/orders/500", 500, RuntimeError),
        ("/orders/none", 422, ProblemError),
        ("/orders/1?more=1", 422, ProblemError),
    ],
)
def test_callbacks_see_the_exception_that_was_answered(
    build: Build, path: str, status: int, error: type[Exception] | None
) -> None:
    seen: list[Any] = []

    def watched(environ: dict[str, Any]) -> Request:
        request = Request(environ)
        request.add_response_callback(lambda r, _response: seen.append(r.exception))
        request.add_finished_callback(lambda r: seen.append(r.exception))
        request.add_finished_callback(lambda r: seen.append((r.exc_info or (None, None))[1]))
        return request

    client = build(_orders(), more=lambda config: config.set_request_factory(watched))
    assert client.post(path).status == status
    assert len(seen) == 3
    assert seen[0] is seen[1] is seen[2]
    assert seen[0] is None if error is None else isinstance(seen[0], error)


def test_an_applications_own_exception_view_answers_for_its_problem(build: Build) -> None:
    def own(error: Any, request: Any) -> Any:
        request.response.status = 418
        request.response.json_body = {"own": error.code}
        return request.response

    def more(config: Any) -> None:
        config.add_exception_view(own, context=RefusedOrderError)

    client = build(_orders(), more=more)
    answer = client.post("/orders/409")
    assert (answer.status, answer.json()) == (418, {"own": "refused-order"})
    assert client.post("/orders/none").status == 422


def _database(path: Path) -> Any:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        db.execute(sqlalchemy.text("CREATE TABLE orders (count INTEGER)"))
    return engine


def _kept(engine: Any) -> list[int]:
    with engine.connect() as db:
        return [row[0] for row in db.execute(sqlalchemy.text("SELECT count FROM orders"))]


def _insert(request: Any, count: int) -> None:
    request.db.execute(sqlalchemy.text("INSERT INTO orders VALUES (:count)"), {"count": count})
    zope.sqlalchemy.mark_changed(request.db) if request.registry.get("tm") else None


PATHS = ("/orders/1", "/orders/409", "/orders/410", "/orders/500", "/orders/2")


def test_a_session_per_request_commits_only_what_was_not_refused(
    build: Build, tmp_path: Path
) -> None:
    """The usual recipe for SQLAlchemy: commit in a finished callback, unless there is an error."""
    engine = _database(tmp_path / "db")

    def session(request: Any) -> Any:
        made = sqlalchemy.orm.Session(engine)

        def end(request: Any) -> None:
            made.rollback() if request.exception is not None else made.commit()
            made.close()

        request.add_finished_callback(end)
        return made

    client = build(
        _orders(_insert),
        more=lambda config: config.add_request_method(session, "db", reify=True),
    )
    assert [client.post(path).status for path in PATHS] == [200, 409, 409, 500, 200]
    assert _kept(engine) == [1, 2]


def test_pyramid_tm_aborts_what_was_refused(build: Build, tmp_path: Path) -> None:
    engine = _database(tmp_path / "db")

    def session(request: Any) -> Any:
        made = sqlalchemy.orm.Session(engine)
        zope.sqlalchemy.register(made, transaction_manager=request.tm)
        return made

    def more(config: Any) -> None:
        config.registry["tm"] = True
        config.include("pyramid_tm")
        config.add_request_method(session, "db", reify=True)

    client = build(_orders(_insert), more=more)
    assert [client.post(path).status for path in PATHS] == [200, 409, 409, 500, 200]
    assert _kept(engine) == [1, 2]
