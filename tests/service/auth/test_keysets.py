"""Key sets: what is read, how long it is kept, and what happens while nobody has them."""

from __future__ import annotations

import http.server
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.service.auth.keysets import (
    JwksFile,
    JwksUrl,
    KeysUnavailableError,
    fetch_keys,
    parse_jwks,
)
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.service.auth.conftest import Signer


def _set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_only_public_signing_keys_are_read(curve: Signer, numbers: Signer) -> None:
    odd = [
        {**curve.jwk, "kid": "enc", "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**curve.jwk, "kid": "private", "d": "AA"},
        {"kty": "XX", "kid": "future"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
        {"kid": "empty"},
        "no object",
    ]
    assert set(parse_jwks(_set(curve.jwk, *odd, numbers.jwk))) == {"curve", "numbers"}  # type: ignore[arg-type]
    for bad in (b"", b"[]", b'{"keys": {}}', b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 — any kind: the caller treats all alike
            parse_jwks(bad)


def test_a_new_file_is_seen_within_a_second(tmp_path: Path, curve: Signer, other: Signer) -> None:
    path, clock = tmp_path / "keys.json", ManualClock()
    keys = JwksFile(path, clock=clock)
    with pytest.raises(KeysUnavailableError):
        keys.find("curve")
    path.write_bytes(_set(curve.jwk))
    clock.advance(1)
    assert keys.find("curve") is not None
    assert keys.find(None) is not None  # the only one needs no name
    path.write_bytes(_set(curve.jwk, other.jwk))
    os.utime(path, ns=(1, 1))
    assert keys.find("other") is None
    clock.advance(1)
    assert keys.find("other") is not None
    assert keys.find(None) is None
    path.write_bytes(b"half a fi")  # the keys that are known go on
    clock.advance(1)
    assert keys.find("other") is not None


class Source:
    """A server of keys that counts, and can be away."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.data: bytes | None = _set(*keys)
        self.asked = 0

    def __call__(self, _url: str) -> bytes:
        self.asked += 1
        if self.data is None:
            raise OSError("away")
        return self.data


def test_a_set_from_a_url_is_kept_and_asked_again_for_unknown_names_but_seldom(
    curve: Signer, other: Signer
) -> None:
    source, clock = Source(curve.jwk), ManualClock()
    keys = JwksUrl("https://id.example/keys", fetch=source, clock=clock, max_age=300, pause=10)
    for _ in range(3):
        assert keys.find("curve") is not None
    assert source.asked == 1
    source.data = _set(curve.jwk, other.jwk)  # the server has a new key
    for number in range(50):
        assert keys.find(f"invented {number}") is None
    assert source.asked == 1
    clock.advance(10)
    assert keys.find("other") is not None
    assert source.asked == 2
    clock.advance(301)
    source.data = None  # away: what is known goes on
    assert keys.find("other") is not None
    assert keys.find("other") is not None
    assert source.asked == 3
    clock.advance(11)
    source.data = _set(other.jwk)  # back, and a key was withdrawn
    assert keys.find("curve") is None


def test_without_any_keys_it_is_503_not_401(curve: Signer) -> None:
    source, clock = Source(curve.jwk), ManualClock()
    source.data = None
    keys = JwksUrl("https://id.example/keys", fetch=source, clock=clock)
    for _ in range(2):
        with pytest.raises(KeysUnavailableError) as told:
            keys.find("curve")
    assert (told.value.status, told.value.headers["Retry-After"]) == (503, "10")
    assert source.asked == 1


def test_keys_never_come_over_a_line_that_others_can_write() -> None:
    with pytest.raises(DeclarationError, match="https"):
        JwksUrl("http://id.example/keys")


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]]:
    """A real HTTP server with the answers that a test puts in."""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[self.path]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}", answers
        made.shutdown()
        thread.join()


def test_keys_over_http_are_bounded_and_never_redirected(server: Any, curve: Signer) -> None:
    url, answers = server
    answers["/keys"] = (200, {}, _set(curve.jwk))
    answers["/away"] = (302, {"Location": "/keys"}, b"")
    answers["/huge"] = (200, {}, b" " * ((1 << 20) + 1))
    assert JwksUrl(f"{url}/keys").find("curve") is not None
    with pytest.raises(OSError, match="302"):
        fetch_keys(f"{url}/away")
    with pytest.raises(ValueError, match="mebibyte"):
        fetch_keys(f"{url}/huge")
