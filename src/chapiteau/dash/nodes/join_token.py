"""The one line that lets a server join: which hub it may trust, and that the hub may trust it.

`jt1-HASH-ID-SECRET`, lower-case base32: HASH is the SHA-256 of the public key of the hub's CA cut
to 160 bits, so that the node knows the hub before it says the secret (as kubeadm's CA hash does).
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from chapiteau.dash.errors import BadRequestError

__all__ = ["JoinToken", "base32", "ca_hash", "node_name", "parse_token", "secret_hash"]

_SHAPE: Final = re.compile(r"jt1-([a-z2-7]{32})-([a-z2-7]{8})-([a-z2-7]{26})")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A token's three parts."""

    ca: str
    id: str
    secret: str

    def __str__(self) -> str:
        return f"jt1-{self.ca}-{self.id}-{self.secret}"

    def __repr__(self) -> str:
        return f"<JoinToken {self.id}>"


def parse_token(text: str) -> JoinToken:
    """Take a token apart. Raises BadRequestError when it is none, or was cut while copying."""
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise BadRequestError(
            "not a join token", hint="copy the whole line that `chapiteau hub token` prints"
        )
    return JoinToken(ca=match[1], id=match[2], secret=match[3])


def ca_hash(public_key: bytes) -> str:
    """The HASH of a CA's public key (DER, SubjectPublicKeyInfo)."""
    return base32(hashlib.sha256(public_key).digest()[:20])


def secret_hash(secret: str) -> str:
    """How the hub keeps a secret; it has 128 bits of chance, so that no salt is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def base32(raw: bytes) -> str:
    """Lower-case base32 without padding."""
    return base64.b32encode(raw).decode().lower().rstrip("=")


def node_name(text: str) -> str:
    """A node's name: as host names are. Raises BadRequestError."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadRequestError(
            f"not a node's name: {text[:80]!r}", hint="letters, digits, dots and dashes, at most 63"
        )
    return name
