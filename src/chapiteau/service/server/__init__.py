"""The worker: one process that serves a WSGI application on sockets it was handed."""

from chapiteau.service.pipeline.debug_page import DebugApp
from chapiteau.service.server.options import ServeOptions
from chapiteau.service.server.sockets import inherited_sockets, listen
from chapiteau.service.server.worker import Worker

__all__ = ["DebugApp", "ServeOptions", "Worker", "inherited_sockets", "listen"]
