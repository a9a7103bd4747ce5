"""Passwords as scrypt hashes (RFC 7914), from the standard library."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

__all__ = ["hash_password", "password_fits"]

# N=2^16, r=8: 64 MiB and about 0.15 s per guess. OpenSSL wants some slack above 128·N·r bytes.
_N: Final = 1 << 16
_R: Final = 8
_P: Final = 2
_MEMORY: Final = 192 << 20


def hash_password(password: str) -> str:
    """`scrypt$N$r$p$salt$hash`: the costs are kept with it, so that they may grow later."""
    salt = secrets.token_bytes(16)
    found = _scrypt(password, salt, _N, _R, _P)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(found)))


def password_fits(password: str, kept: str) -> bool:
    """Whether this is the password. Takes as long for a wrong one as for the right one."""
    _, n, r, p, salt, wanted = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
