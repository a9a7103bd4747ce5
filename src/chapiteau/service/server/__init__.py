"""The worker: one process that serves a WSGI application on sockets it was handed."""

from chapiteau.service.pipeline.debug_page import DebugApp
from chapiteau.service.server.options import ServeOptions
from chapiteau.service.server.reloader import CHANGED, keep_serving, own_files, stamps, watch
from chapiteau.service.server.sockets import inherited_sockets, listen
from chapiteau.service.server.worker import Worker

__all__ = [
    "CHANGED",
    "DebugApp",
    "ServeOptions",
    "Worker",
    "inherited_sockets",
    "keep_serving",
    "listen",
    "own_files",
    "stamps",
    "watch",
]
