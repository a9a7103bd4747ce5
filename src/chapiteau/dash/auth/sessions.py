"""Who is logged in: one-time links, sessions that survive a restart of the hub."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.errors import LoginError
from chapiteau.dash.settings import Dash
from chapiteau.dash.store import Store, StoredSession

__all__ = [
    "HAS_ARGON2",
    "LoginLimiter",
    "Sessions",
    "hash_password",
    "nobody",
    "outdated",
    "password_fits",
]


# Passwords as Argon2id hashes (RFC 9106), or as scrypt's (RFC 7914) without the extra [hub].
#
# What was hashed either way fits as long as it is kept; `outdated` tells what should be made anew.

HAS_ARGON2: bool = False
with contextlib.suppress(ImportError):
    from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    with contextlib.suppress(UnsupportedAlgorithm):  # an OpenSSL older than 3.2
        Argon2id(salt=b"tried out", length=32, iterations=1, lanes=1, memory_cost=8)
        HAS_ARGON2 = True


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


# Guessing made slow: a bucket of failures per account and per address.

_MOST_NAMES: Final = 10_000


class LoginLimiter:
    """`burst` failures at once, then one per `every` seconds, for each name.

    A try counts as a failure until it is known to be none: many at once get no more guesses.
    """

    def __init__(self, burst: int = 5, every: float = 10.0) -> None:
        self._burst = burst
        self._every = every
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when the bucket is full again

    def wait(self, now: float, *names: str) -> float:
        """Take one try of each: 0 when it may go on, else the seconds until the next is free.

        What has to wait takes nothing: who is slowed down by one name does not use up another.
        """
        full_at = {name: max(self._full_at.get(name, now), now) for name in names}
        too_early = max(full_at.values()) + self._every - now - self._burst * self._every
        if too_early > 1e-9:
            return too_early
        for name, moment in full_at.items():
            self._full_at[name] = moment + self._every
            self._full_at.move_to_end(name)
        while len(self._full_at) > _MOST_NAMES:
            self._full_at.popitem(last=False)
        return 0.0

    def give_back(self, name: str) -> None:
        """That try was no failure."""
        if name in self._full_at:
            self._full_at[name] -= self._every

    def clear(self, name: str) -> None:
        """Forget all failures."""
        self._full_at.pop(name, None)


_WRITE_EVERY: Final = 60.0  # seconds; `used` needs no write per request


class Sessions:
    """Sessions by the hash of their id: a stolen file opens nothing."""

    def __init__(
        self, store: Store, clock: Clock, settings: Dash, renewed: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._renewed = renewed  # called whenever the one-time token changes
        self._live = store.sessions()
        # On a full disk a session lives in memory alone, with the account that it came from.
        self._unkept: dict[str, tuple[int, str] | None] = {}
        self._limiter = LoginLimiter()
        self._nobody: str | None = None  # made when the first password comes
        self.token = secrets.token_urlsafe(24)

    def use_token(self, given: str, address: str) -> str:
        """A session id for the one-time token, which is then replaced. Raises LoginError."""
        self._slow_down(f"address {address}")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise LoginError(
                "this link is not valid, or was used before",
                hint="get a new one: chapiteau dash url",
            )
        self._limiter.clear(f"address {address}")
        self.token = secrets.token_urlsafe(24)
        with contextlib.suppress(OSError):  # a full disk must not shut people out
            self._renewed()
        return self.begin(Caller(name="local", role=Role.ADMIN))

    async def use_password(self, name: str, password: str, address: str) -> str:
        """A session id for an account. Raises LoginError, the same for a wrong name or password."""
        self._slow_down(f"account {name}", f"address {address}")
        account = self._store.account(name)
        # An unknown name costs the same time as a wrong password.
        if self._nobody is None:
            self._nobody = await asyncio.to_thread(nobody)
        kept = account[1] if account else self._nobody
        fits = await asyncio.to_thread(password_fits, password[:1000], kept)
        if account is None or not fits:
            raise LoginError("name or password is wrong")
        # An address that many share is forgiven this try alone: else whoever has an account could
        # guess those of others for ever, with a login of their own in between.
        self._limiter.clear(f"account {name}")
        self._limiter.give_back(f"address {address}")
        session_id = self.begin(Caller(name=name, role=Role(account[0])))
        # Looked at after the session stands in the file: a change of the account comes before,
        # and is seen here, or after, and ends the session.
        if self._store.account(name) != account:
            self.end(session_id)
            raise LoginError("the account was changed meanwhile", hint="log in again")
        if outdated(kept):
            better = await asyncio.to_thread(hash_password, password[:1000])
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk: next time
                self._store.rehash_password(name, kept, better)
        return session_id

    def _slow_down(self, *names: str) -> None:
        if wait := self._limiter.wait(self._clock.now(), *names):
            raise LoginError(f"too many tries: wait {max(1, round(wait))} s")

    def begin(self, caller: Caller) -> str:
        """A new session for somebody who has proved who they are."""
        session_id = secrets.token_urlsafe(32)
        now = self._clock.wall()
        session = StoredSession(name=caller.name, role=int(caller.role), made=now, used=now)
        self._live[_hash(session_id)] = session
        self._keep(_hash(session_id), session)
        return session_id

    def caller(self, session_id: str) -> Caller | None:
        """Who is behind a session id; None when it is unknown or has ended."""
        key = _hash(session_id)
        session = self._live.get(key)
        if session is None:
            return None
        now = self._clock.wall()
        if self._ended(session, now):
            with contextlib.suppress(ChapiteauError):  # its time is over, stored or not
                self.end(session_id)
            return None
        # `chapiteau dash user` ends sessions in the file, from another process; to look costs 5 µs.
        if not self._is_kept(key, session):
            self._forget(key)
            return None
        if now - session.used > _WRITE_EVERY:
            if not self._touch(key, session, now):
                del self._live[key]
                return None
            self._live[key] = replace(session, used=now)
        return Caller(name=session.name, role=Role(session.role))

    def holds(self, session_id: str) -> bool:
        """Whether it goes on; to ask does not count as use."""
        key = _hash(session_id)
        session = self._live.get(key)
        if session is None or self._ended(session, self._clock.wall()):
            return False
        return self._is_kept(key, session)

    def end(self, session_id: str) -> None:
        """Log out. Raises ChapiteauError when that can't be stored, and holds until a restart."""
        key = _hash(session_id)
        self._forget(key)
        self._store.drop_session(key)

    def _forget(self, key: str) -> None:
        self._live.pop(key, None)
        self._unkept.pop(key, None)

    def _is_kept(self, key: str, session: StoredSession) -> bool:
        """Whether nobody has ended it in the file, nor changed the account that it came from."""
        try:
            if key in self._unkept:
                return self._store.account(session.name) == self._unkept[key]
            return self._store.has_session(key)
        except sqlite3.OperationalError:
            return True  # a disk that fails must not shut people out

    def _keep(self, key: str, session: StoredSession) -> None:
        """On disk, or as long as we live: who comes to see that the disk is full must get in."""
        try:
            self._store.keep_session(key, session)
        except sqlite3.OperationalError:
            self._unkept.setdefault(key, self._store.account(session.name))
        else:
            self._unkept.pop(key, None)

    def _touch(self, key: str, session: StoredSession, now: float) -> bool:
        """Note the use; False when somebody has ended it in the file."""
        if key in self._unkept:
            self._keep(key, replace(session, used=now))
            return True
        try:
            return self._store.touch_session(key, now)
        except sqlite3.OperationalError:
            return True

    def _ended(self, session: StoredSession, now: float) -> bool:
        return (
            now - session.used > self._settings.session_idle
            or now - session.made > self._settings.session_max
        )


def _hash(session_id: str) -> str:
    # A cookie may be any bytes; aiohttp gives those that are no UTF-8 as surrogates.
    return hashlib.sha256(session_id.encode(errors="surrogateescape")).hexdigest()
