"""Passwords as Argon2id hashes (RFC 9106), or as scrypt's (RFC 7914) without the extra [hub].

What was hashed either way fits as long as it is kept; `outdated` tells what should be made anew.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from chapiteau.core.errors import UsageError

try:
    from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    # An OpenSSL older than 3.2 has no Argon2.
    Argon2id(salt=b"tried out", length=32, iterations=1, lanes=1, memory_cost=8)
    HAS_ARGON2: bool = True
except (ImportError, UnsupportedAlgorithm):
    HAS_ARGON2 = False

__all__ = ["HAS_ARGON2", "hash_password", "nobody", "outdated", "password_fits"]

# N=2^16, r=8: 64 MiB and about 0.15 s per guess. OpenSSL wants some slack above 128·N·r bytes.
_N: Final = 1 << 16
_R: Final = 8
_P: Final = 2
_MEMORY: Final = 192 << 20


def hash_password(password: str) -> str:
    """A PHC string of Argon2id, or `scrypt$N$r$p$salt$hash`: the costs are kept with it."""
    salt = secrets.token_bytes(16)
    if HAS_ARGON2:
        # The second recommendation of RFC 9106 §4: 64 MiB, three passes, four lanes.
        argon = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 << 10)
        return argon.derive_phc_encoded(password.encode())
    found = _scrypt(password, salt, _N, _R, _P)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(found)))


def nobody() -> str:
    """A hash that no password fits, with the costs of a real one."""
    return hash_password(secrets.token_hex(32))


def password_fits(password: str, kept: str) -> bool:
    """Whether this is the password. Takes as long for a wrong one as for the right one.

    Raises UsageError for a hash of Argon2 where there is none any more.
    """
    if kept.startswith("$argon2id$"):
        if not HAS_ARGON2:
            raise UsageError(
                "the accounts' passwords are hashed by Argon2id, which is not installed",
                hint="pip install 'chapiteau[hub]'",
            )
        try:
            Argon2id.verify_phc_encoded(password.encode(), kept)
        except InvalidKey:
            return False
        return True
    _, n, r, p, salt, wanted = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def outdated(kept: str) -> bool:
    """Whether a password that just fitted should be hashed anew."""
    return HAS_ARGON2 and not kept.startswith("$argon2id$")


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
