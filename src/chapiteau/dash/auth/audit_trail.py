"""What goes into the audit trail beside actions: who came, left, joined, and was refused."""

import contextlib
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.dash.auth.sessions import LoginLimiter
from chapiteau.dash.store import StorageError, Store

__all__ = ["AuditTrail"]

_EACH: Final = 20  # refusals of one address at once, then one every ten seconds
_ALL: Final = 200  # of all addresses, then one every five seconds


class AuditTrail:
    """Appends lines. A refusal costs whoever asks nothing: of those only so many are noted."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._each = LoginLimiter(burst=_EACH, every=10.0)
        self._all = LoginLimiter(burst=_ALL, every=5.0)
        self._left_out = 0

    def note(self, actor: str, verb: str, target: str, result: str) -> None:
        """What happened. On a full disk it is left out: it must not keep people from coming in."""
        line = {"who": actor, "verb": verb, "target": target, "result": result}
        shown = {key: _printable(value) for key, value in line.items()}
        with contextlib.suppress(StorageError):
            self._store.audit(**shown, time=self._clock.wall())

    def refuse(self, actor: str, verb: str, target: str, why: str, *, address: str) -> None:
        """What was not done. The next line says how many were left out before it."""
        now = self._clock.now()
        if self._each.wait(now, address) or self._all.wait(now, "all"):
            self._left_out += 1
            return
        more = f" ({self._left_out} refusals before this one are not listed)"
        self.note(actor, verb, target, why + (more if self._left_out else ""))
        self._left_out = 0


def _printable(text: str) -> str:
    """Names and paths come from anybody, lone surrogates included."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text[:500])
