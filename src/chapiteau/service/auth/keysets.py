"""Sets of public keys (JWKS, RFC 7517): from a file, or from the server that signs."""

import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from chapiteau.core.clock import Clock
from chapiteau.io.clock import SystemClock
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "JwksFile",
    "JwksUrl",
    "KeySet",
    "KeysUnavailableError",
    "SigningKey",
    "fetch_keys",
    "parse_jwks",
]

_log = logging.getLogger("chapiteau.service.auth")

_LARGEST: Final = 1 << 20  # bytes of a key set
_LOOK: Final = 1.0  # seconds between two looks at a file


class SigningKey(NamedTuple):
    """A public key as cryptography has it, and the one algorithm it is for, or ""."""

    key: Any
    algorithm: str


Keys = dict[str | None, SigningKey]


class KeysUnavailableError(ProblemError):
    """Tokens can't be verified: no key set has been read yet (503)."""

    status = 503
    code = "keys-away"
    title = "Tokens can't be verified now"


class KeySet(Protocol):
    """Gives the keys that may have signed; RFC 7517 calls their names `kid`."""

    def find(self, kid: str | None) -> SigningKey | None:
        """The key of this name, or None; without a name, the only one. Raises KeysAwayError."""
        ...


def parse_jwks(data: bytes) -> Keys:
    """The signing keys of a JWKS document by name. Raises ValueError.

    Keys of unknown kinds are left out (RFC 7517 §5), as are those for encryption, those that are
    secret, and RSA below 2048 bits.
    """
    import json

    import jwt

    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("a key set is an object with a list `keys`")  # noqa: TRY004 — bad data
    found: Keys = {}
    for item in document["keys"]:
        if not isinstance(item, dict) or item.get("use", "sig") != "sig":
            continue
        if item.get("kty") == "oct" or "d" in item:
            continue  # a secret key, in a set that is meant to be read by anyone
        try:
            key = jwt.PyJWK(item).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if item["kty"] == "RSA" and getattr(key, "key_size", 0) < 2048:
            continue
        found[item.get("kid")] = SigningKey(key, str(item.get("alg", "")))
    return found


def _of(keys: Keys, kid: str | None) -> SigningKey | None:
    if kid is not None:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None


class JwksFile:
    """A key set in a file; a new one is seen within a second."""

    def __init__(self, path: Path | str, *, clock: Clock | None = None) -> None:
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._keys: Keys | None = None
        self._stamp: tuple[int, int] | None = None
        self._looked = float("-inf")

    def find(self, kid: str | None) -> SigningKey | None:
        """See KeySet."""
        now = self._clock.now()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._look()
        if self._keys is None:
            raise KeysUnavailableError("the key set can't be read", headers={"Retry-After": "5"})
        return _of(self._keys, kid)

    def _look(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._keys, self._stamp = parse_jwks(self._path.read_bytes()), stamp
        except (OSError, ValueError) as exc:
            _log.warning("key set %s: %s", self._path, exc)


class JwksUrl:
    """A key set from the server that signs the tokens, kept for `max_age` seconds.

    A name that is not in it makes us ask again, but at most once in `pause` seconds: invented
    names must not make this service ask without end. While the server is away, the keys that are
    known go on. Only one thread fetches; the others use what is there.
    """

    def __init__(
        self,
        url: str,
        *,
        max_age: float = 300.0,
        pause: float = 10.0,
        fetch: Callable[[str], bytes] | None = None,
        clock: Clock | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise DeclarationError(
                f"{url}: keys must come by https", hint="whoever can change them can be anybody"
            )
        self._url = url
        self._max_age = max_age
        self._pause = pause
        self._fetch = fetch or fetch_keys
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._read = self._asked = float("-inf")

    def find(self, kid: str | None) -> SigningKey | None:
        """See KeySet."""
        found = None if self._keys is None else _of(self._keys, kid)
        now = self._clock.now()
        if found is None or now - self._read > self._max_age:
            # Whoever needs a key waits for the fetch; whoever has one goes on with it.
            if self._lock.acquire(blocking=found is None):
                try:
                    self._ask(now)
                finally:
                    self._lock.release()
            found = None if self._keys is None else _of(self._keys, kid)
        if self._keys is None:
            wait = {"Retry-After": str(round(self._pause))}
            raise KeysUnavailableError("the key set could not be fetched", headers=wait)
        return found

    def _ask(self, now: float) -> None:
        if now - self._asked < self._pause:
            return
        self._asked = now
        try:
            self._keys = parse_jwks(self._fetch(self._url))
        except (OSError, ValueError) as exc:
            _log.warning("key set %s: %s", self._url, exc)
            return
        self._read = now


class _Stay(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was named, and from no other."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def fetch_keys(url: str, timeout: float = 5.0) -> bytes:
    """The body behind a URL, at most a mebibyte. Raises OSError, ValueError."""
    opener = urllib.request.build_opener(_Stay)
    with opener.open(url, timeout=timeout) as answer:
        data: bytes = answer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("the key set is larger than a mebibyte")
    return data
