"""Which nodes the hub knows, and which tokens are open. In the hub's SQLite file.

The command line writes here (`hub token`, `hub revoke`) and the running hub reads.
"""

import base64
import hashlib
import hmac
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.errors import BadRequestError, LoginError, NotAllowedError
from chapiteau.dash.store import open_database, transaction, version

__all__ = [
    "JoinToken",
    "KnownNode",
    "Registry",
    "base32",
    "ca_hash",
    "node_name",
    "parse_token",
    "secret_hash",
]


# A join token lets one server join: it names which hub it may trust, and that the hub may trust it.
#
# `jt1-HASH-ID-SECRET`, lower-case base32: HASH is the SHA-256 of the public key of the hub's CA cut
# to 160 bits, so that the node knows the hub before it says the secret (as kubeadm's CA hash does).

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


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS node (
  name TEXT PRIMARY KEY, joined REAL NOT NULL, expires REAL NOT NULL,
  seen REAL NOT NULL DEFAULT 0, revoked REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS serial (
  serial TEXT PRIMARY KEY, name TEXT NOT NULL, expires REAL NOT NULL, denied INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS token (
  id TEXT PRIMARY KEY, secret TEXT NOT NULL, expires REAL NOT NULL, used REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS issuer (name TEXT PRIMARY KEY, ca TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS replaces (token TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS replaced (
  name TEXT PRIMARY KEY, time REAL NOT NULL, actor TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNode:
    """A node that has joined. Times are seconds since 1970, 0 for never."""

    name: str
    joined: float
    expires: float  # of its certificate
    seen: float
    revoked: float


class Registry:
    """Nodes, certificates, tokens."""

    def __init__(self, path: Path) -> None:
        self._db: sqlite3.Connection = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add_token(self, token: JoinToken, expires: float, replaces: str = "") -> None:
        """Open a token; only the hash of its secret is kept.

        `replaces`: the one name that it is good for, though a node has it.
        """
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO token (id, secret, expires) VALUES (?, ?, ?)",
                (token.id, secret_hash(token.secret), expires),
            )
            if replaces:
                self._db.execute("INSERT INTO replaces VALUES (?, ?)", (token.id, replaces))

    def use_token(self, token_id: str, secret: str, now: float, name: str) -> bool:
        """Use a token up for a node's name; tells whether it may take the place of a node.

        Raises LoginError when it is unknown, used, too old or wrong, NotAllowedError when it is
        for another name, RefusedError when a node has the name. Refused so, it stays good.
        """
        row = self._db.execute(
            "SELECT secret, expires, used FROM token WHERE id = ?", (token_id,)
        ).fetchone()
        kept = row[0] if row else secret_hash("")
        fits = hmac.compare_digest(kept, secret_hash(secret))
        hint = "make a new one on the hub: chapiteau hub token"
        if row is None or not fits:
            raise LoginError("this join token is not known here", hint=hint)
        if row[2]:
            raise LoginError("this join token was used before", hint=hint)
        if now > row[1]:
            raise LoginError("this join token is too old", hint=hint)
        made_for = self._db.execute(
            "SELECT name FROM replaces WHERE token = ?", (token_id,)
        ).fetchone()
        if made_for and made_for[0] != name:
            raise NotAllowedError(
                f"this join token is for {made_for[0]}, not for {name}",
                hint=f"join with --name {made_for[0]}, or get a token without --replace",
            )
        if not made_for:
            self._check_free(name, now)
        # The condition makes it single use even when two nodes come at the same moment.
        taken = self._db.execute(
            "UPDATE token SET used = ? WHERE id = ? AND used = 0", (now, token_id)
        )
        if not taken.rowcount:
            raise LoginError("this join token was used before", hint=hint)
        return bool(made_for)

    def admit(
        self,
        name: str,
        serial: str,
        expires: float,
        now: float,
        *,
        replaces: bool = False,
        actor: str = "",
    ) -> bool:
        """Note a node's certificate; older ones of this name are void.

        Tells whether it took the place of a node. Raises RefusedError when it must not.
        """
        with transaction(self._db):
            if not replaces:
                self._check_free(name, now)
            replaced = self._is_taken(name, now)
            if replaced:
                self._db.execute(
                    "INSERT OR REPLACE INTO replaced VALUES (?, ?, ?)", (name, now, actor)
                )
            self._db.execute("UPDATE serial SET denied = 1 WHERE name = ?", (name,))
            self._db.execute(
                "INSERT INTO node (name, joined, expires) VALUES (?, ?, ?) ON CONFLICT (name) DO "
                "UPDATE SET joined = excluded.joined, expires = excluded.expires, revoked = 0",
                (name, now, expires),
            )
            self.note_certificate(name, serial, expires)
        return replaced

    def replacements(self, after: float) -> dict[str, tuple[float, str]]:
        """Nodes whose place another server took since then: when, and by which token."""
        rows = self._db.execute("SELECT name, time, actor FROM replaced WHERE time > ?", (after,))
        return {name: (time, actor) for name, time, actor in rows}

    def _is_taken(self, name: str, now: float) -> bool:
        """Whether a node may come under this name: it is no longer so once its papers expired."""
        found = self._db.execute(
            "SELECT 1 FROM node WHERE name = ? AND revoked = 0 AND expires > ?", (name, now)
        )
        return found.fetchone() is not None

    def _check_free(self, name: str, now: float) -> None:
        if self._is_taken(name, now):
            raise RefusedError(
                f"a node called {name} has joined already",
                hint="another server: join with another --name; this server anew, or in its place:"
                f" on the hub, chapiteau hub token --replace {name}",
            )

    def note_certificate(self, name: str, serial: str, expires: float) -> None:
        """Note a renewed certificate; the one before stays good until it ends."""
        self._db.execute(
            "INSERT OR REPLACE INTO serial VALUES (?, ?, ?, 0)", (serial, name, expires)
        )
        self._db.execute("UPDATE node SET expires = ? WHERE name = ?", (expires, name))

    def check(self, name: str, serial: str) -> None:
        """Raises NotAllowedError unless this certificate still lets this node in."""
        node = self._db.execute("SELECT revoked FROM node WHERE name = ?", (name,)).fetchone()
        row = self._db.execute(
            "SELECT denied FROM serial WHERE serial = ? AND name = ?", (serial, name)
        ).fetchone()
        if node is None or row is None or node[0] or row[0]:
            raise NotAllowedError(
                f"{name} is not admitted any more",
                hint="make a new token on the hub (chapiteau hub token) and join again",
            )

    def saw(self, name: str, now: float, issuer: str = "") -> None:
        """Note that a node is connected, and which CA has signed what it shows."""
        self._db.execute("UPDATE node SET seen = ? WHERE name = ?", (now, name))
        if issuer:
            self._db.execute("INSERT OR REPLACE INTO issuer VALUES (?, ?)", (name, issuer))

    def saw_all(self, names: Iterable[str], now: float) -> None:
        """Note that these are connected."""
        with transaction(self._db):
            rows = [(now, name) for name in names]
            self._db.executemany("UPDATE node SET seen = ? WHERE name = ?", rows)

    def without_certificate_of(self, issuer: str) -> list[str]:
        """Members that have not yet shown a certificate of this CA."""
        rows = self._db.execute(
            "SELECT name FROM node LEFT JOIN issuer USING (name)"
            " WHERE revoked = 0 AND ca IS NOT ? ORDER BY name",
            (issuer,),
        )
        return [row[0] for row in rows]

    def revoke(self, name: str, now: float) -> None:
        """Shut a node out; the running hub hangs up within seconds. Raises NotFoundError."""
        found = self._db.execute(
            "UPDATE node SET revoked = ? WHERE name = ? AND revoked = 0", (now, name)
        )
        if not found.rowcount:
            raise NotFoundError(f"there is no node {name!r}", hint="see chapiteau hub nodes")
        self._db.execute("UPDATE serial SET denied = 1 WHERE name = ?", (name,))
        self._db.execute("DELETE FROM replaced WHERE name = ?", (name,))

    def version(self) -> tuple[int, int]:
        """Another one as soon as anybody has written to the file."""
        return version(self._db)

    def nodes(self) -> list[KnownNode]:
        """Every node that ever joined, revoked ones too."""
        rows = self._db.execute(
            "SELECT name, joined, expires, seen, revoked FROM node ORDER BY name"
        )
        return [
            KnownNode(name=r[0], joined=r[1], expires=r[2], seen=r[3], revoked=r[4]) for r in rows
        ]
