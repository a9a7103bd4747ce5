"""A WSGI application that does what the tests of the worker need, by path."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from chapiteau.service.pipeline.reply import HeaderTemplate, Reply

_FOUR = threading.Barrier(4)


def app(environ: dict[str, Any], start: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/until":  # that file exists
        open(environ["QUERY_STRING"] + ".entered", "a").close()
        while not os.path.exists(environ["QUERY_STRING"]):
            time.sleep(0.01)
    if path == "/together":
        _FOUR.wait(60)
    if path == "/echo":
        return _plain(start, environ["wsgi.input"].read())
    if path == "/big":
        return _plain(start, b"x" * int(environ["QUERY_STRING"]))
    if path == "/stream":
        start("200 OK", [("Content-Type", "text/plain")])
        return (b"part %d\n" % n for n in range(3))
    if path == "/ticks":
        start("200 OK", [("Content-Type", "text/plain")])
        return _ticks()
    if path == "/forge":
        return _plain(start, b"", ("X-Bad", "a\r\nSet-Cookie: b=c"))
    if path == "/short":
        start("200 OK", [("Content-Length", "10")])
        return iter([b"abc"])
    if path == "/raise":
        raise RuntimeError("on purpose")
    if path == "/second-thoughts":
        return _second_thoughts(environ, start)
    if path == "/environ":
        names = (
            "REQUEST_METHOD",
            "PATH_INFO",
            "QUERY_STRING",
            "REMOTE_ADDR",
            "HTTP_X_A",
            "HTTP_HOST",
        )
        text = "\n".join(f"{n}={environ.get(n)}" for n in names)
        return _plain(start, text.encode("latin-1"))
    return _plain(start, b"%d" % os.getpid())


def _second_thoughts(environ: dict[str, Any], start: Any) -> list[bytes]:
    """An answer of a service's, and then a middleware that finds a fault (PEP 3333, exc_info)."""
    Reply("200 OK", None, b"{}", HeaderTemplate("application/json", ()), "own")(environ, start)
    try:
        raise RuntimeError("on purpose")
    except RuntimeError:
        start("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"something went wrong"]


def _ticks() -> Any:
    while True:
        time.sleep(0.01)
        yield b"tick\n"


def _plain(start: Any, body: bytes, *more: tuple[str, str]) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *more])
    return [body]


def broken() -> Any:
    raise ValueError("no database")
