"""The worker: one process that serves a WSGI application on sockets it was handed."""

from chapiteau.service.engine.serving.listeners import bind, inherited
from chapiteau.service.engine.serving.options import ServeOptions
from chapiteau.service.engine.serving.worker import Worker

__all__ = ["ServeOptions", "Worker", "bind", "inherited"]
