"""One signer of each kind; keys are made once."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PEM = serialization.Encoding.PEM
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo


class Signer:
    """Makes tokens with one key, as an authorization server does."""

    def __init__(self, key: Any, algorithm: str, kid: str) -> None:
        self.key = key
        self.algorithm = algorithm
        self.kid = kid

    @property
    def public(self) -> str:
        """The public key as PEM."""
        return str(self.key.public_key().public_bytes(PEM, PUBLIC).decode())

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as an entry of a key set."""
        kind = jwt.get_algorithm_by_name(self.algorithm)
        made: dict[str, Any] = kind.to_jwk(self.key.public_key(), as_dict=True)
        return {**made, "kid": self.kid, "use": "sig"}

    def token(self, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token, but for what `claims` say; None takes a claim out."""
        told = {"sub": "ann", "aud": "notes", "iss": "us", "exp": time.time() + 60, **claims}
        kept = {name: value for name, value in told.items() if value is not None}
        head = {"kid": self.kid, **(headers or {})}
        return jwt.encode(kept, self.key, algorithm=self.algorithm, headers=head)


@pytest.fixture(scope="session")
def curve() -> Signer:
    return Signer(ec.generate_private_key(ec.SECP256R1()), "ES256", "curve")


@pytest.fixture(scope="session")
def other() -> Signer:
    """Another curve key, which nobody has published."""
    return Signer(ec.generate_private_key(ec.SECP256R1()), "ES256", "other")


@pytest.fixture(scope="session")
def numbers() -> Signer:
    return Signer(rsa.generate_private_key(65537, 2048), "RS256", "numbers")
