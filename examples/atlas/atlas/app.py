"""Builds the application: `chapiteau service serve atlas.app:make`."""

import os
from pathlib import Path

from pyramid.config import Configurator
from pyramid.router import Router

from atlas.store import Store

DATABASE = "data/atlas.sqlite3"


def make(database: str | None = None) -> Router:
    """The WSGI application on a database that `python -m atlas.fill` has filled."""
    store = Store(Path(database or os.environ.get("ATLAS_DATABASE", DATABASE)))
    config = Configurator()
    config.include("chapiteau.service")
    config.set_api(
        title="Atlas",
        version="1.0",
        description="Cities of the world with 15,000 people or more, and your notes on them.",
    )
    config.add_docs("/docs")
    config.registry["store"] = store
    config.add_health_check("database", store.ping, timeout=1.0)
    config.scan("atlas")
    return config.make_wsgi_app()
