"""Cornice's services and native ones in one application, whichever is included first."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.config import Configurator

from chapiteau.cornice import Service as CorniceService
from chapiteau.service import Service
from chapiteau.service.testing import Client

old = CorniceService("beside-old", "/old")


@old.get()
def get_old(request: Any) -> dict[str, int]:
    if "defect" in request.params:
        raise RuntimeError("broken")
    return {"old": 1}


@old.post(content_type="text/x")
def post_old(request: Any) -> None:
    request.errors.add("body", "x", "wrong")


@pytest.mark.parametrize("first", ["cornice", "service"])
def test_both_answer_and_errors_have_one_form(first: str) -> None:
    new = Service("new", "/new")
    new.add("GET", lambda: 1)
    config = Configurator()
    for name in sorted(("cornice", "service"), key=lambda name: name != first):
        config.include(f"chapiteau.{name}")
    config.add_cornice_service(old)
    config.add_service(new)
    client = Client(config.make_wsgi_app())
    assert client.get("/old").json() == {"old": 1}
    assert client.get("/new").json() == 1
    own = client.post("/old", headers={"Content-Type": "text/x"})
    assert (own.status, own.json()["status"]) == (400, "error")
    for path, status in (("/none", 404), ("/new?x=1", 422), ("/old?defect=1", 500)):
        answer = client.get(path)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
