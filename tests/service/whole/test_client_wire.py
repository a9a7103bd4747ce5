"""What a generated Python client sends, over a real connection."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.service.openapi.clients import python_client

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = [
    {"name": "flag", "in": "path", "required": True, "schema": {"type": "boolean"}},
    {"name": "X-Names", "in": "header", "schema": {"type": "array", "items": {"type": "string"}}},
    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
    {"name": "visits", "in": "cookie", "schema": {"type": "integer"}},
]
GOOD = {"200": {"description": "OK", "content": {"application/json": {"schema": {}}}}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Small", "version": "1"},
    "paths": {
        "/{flag}": {
            "post": {"operationId": "send", "parameters": PARAMETERS, "responses": GOOD},
        }
    },
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that `chapiteau service client` would write."""
    (tmp_path / "small_client.py").write_text(python_client(DOCUMENT))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "small_client", raising=False)
    return importlib.import_module("small_client")


class Server:
    """Answers the requests of one connection after the other, and closes each behind the last."""

    def __init__(self, *answers: list[bytes]) -> None:
        self.heard: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._answers:
            wire, _ = self._listener.accept()
            with wire:
                for answer in answers:
                    heard = b""
                    while b"\r\n\r\n" not in heard:
                        heard += wire.recv(4096)
                    self.heard.append(heard)
                    wire.sendall(answer)
        self._listener.close()

    def ended(self) -> None:
        """Wait until all was said."""
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_cookies_lists_and_flags_go_as_the_document_says(api: Any) -> None:
    server = Server([ANSWER])
    client = api.Client(server.url)
    assert client.send(True, x_names=["a", "b"], session="s", visits=3).value == 1
    client.close()
    server.ended()
    head = server.heard[0].decode()
    assert head.startswith("POST /true HTTP/1.1\r\n")
    assert "X-Names: a,b\r\n" in head
    assert "Cookie: session=s; visits=3\r\n" in head


def test_no_cookie_header_goes_without_cookies(api: Any) -> None:
    server = Server([ANSWER])
    client = api.Client(server.url)
    client.send(False)
    client.close()
    server.ended()
    assert b"Cookie" not in server.heard[0]


def test_a_kept_connection_that_was_closed_is_not_used_again(api: Any) -> None:
    """A POST could not be repeated, but nothing need be lost when the end is there to see."""
    server = Server([ANSWER], [ANSWER])
    client = api.Client(server.url)
    assert client.send(True).value == 1
    connection = client._local.connection.sock
    connection.recv(1)  # wait for the end that the server has sent
    assert client.send(True).value == 1
    client.close()
    server.ended()


def test_half_an_answer_spoils_no_later_request(api: Any) -> None:
    server = Server([ANSWER[:-1]], [ANSWER])
    client = api.Client(server.url)
    with pytest.raises(api.http.client.HTTPException):
        client.send(True)
    assert client.send(True).value == 1
    client.close()
    server.ended()
