"""What every application of this comparison answers, and the requests that ask for it.

GET /ping                     {"pong": true}
GET /items/{id}?limit&flag    echoes typed parameters; a wrong one is 400, 404 or 422
POST /items                   12 validated fields back, 201; a bad one 400 or 422
GET /items                    100 items
"""

import json
from io import BytesIO
from typing import Any

ITEM = {
    "id": 1, "name": "table", "price": 12.5, "active": True, "tags": ["a", "b"], "owner": "me",
    "email": "me@example.org", "created": "2026-01-01T00:00:00Z", "count": 3, "rating": 4.5,
    "address": {"street": "Main", "city": "Paris", "zip": "75001"}, "note": "n",
}  # fmt: skip
BAD = {**ITEM, "name": "", "price": -1, "count": "x"}


def environ(method: str, path: str, query: str = "", body: bytes = b"") -> dict[str, Any]:
    """A fresh WSGI environ, as a server makes it."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost", "HTTP_ACCEPT": "*/*", "HTTP_USER_AGENT": "bench",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body),
        "wsgi.errors": None, "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False, "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    if body:
        made["CONTENT_TYPE"] = "application/json"
        made["CONTENT_LENGTH"] = str(len(body))
    return made


GOOD_BODY = json.dumps(ITEM).encode()
BAD_BODY = json.dumps(BAD).encode()

CASES: dict[str, tuple[str, str, str, bytes, tuple[int, ...]]] = {
    "ping": ("GET", "/ping", "", b"", (200,)),
    "item": ("GET", "/items/7", "limit=5&flag=true", b"", (200,)),
    "post": ("POST", "/items", "", GOOD_BODY, (200, 201)),
    "bad": ("POST", "/items", "", BAD_BODY, (400, 422)),
    "list": ("GET", "/items", "", b"", (200,)),
}
