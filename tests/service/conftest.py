"""An application in both paths: every test that takes `client` runs in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyramid.config import Configurator

from chapiteau.service.testing import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service import Service

PATHS = ("fast", "normal")


@pytest.fixture(params=PATHS)
def lane(request: pytest.FixtureRequest) -> str:
    """Which way requests take."""
    return str(request.param)


@pytest.fixture
def build(lane: str) -> Callable[..., Any]:
    """Make an application of services; `more(config)` may configure further."""

    def make(
        *services: Service, more: Callable[[Any], None] | None = None, **settings: Any
    ) -> Client:
        settings.setdefault("chapiteau.fast_path", lane == "fast")
        config = Configurator(settings=settings)
        config.include("chapiteau.service")
        for service in services:
            config.add_service(service)
        if more is not None:
            more(config)
        return Client(config.make_wsgi_app())

    return make
