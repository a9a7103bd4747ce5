"""The page's own certificate: read from its files, and again when they are renewed."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.problems import Certificate

__all__ = ["PageCertificate"]

_LOOK: Final = 10.0  # seconds between two looks at the files


class PageCertificate:
    """One TLS context for as long as the page runs. Raises ChapiteauError when it can't begin."""

    def __init__(self, cert: Path, key: Path, clock: Clock) -> None:
        self._cert, self._key, self._clock = cert, key, clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._stamp = self._now()
        try:
            self._load()
        except (OSError, ssl.SSLError) as exc:
            raise ChapiteauError(
                f"dash.cert, dash.key: not usable ({exc})",
                hint=f"{cert} must hold the chain, {key} its key, both PEM",
            ) from exc
        self.paper = self._paper("")

    async def keep(self, tell: Callable[[Certificate], None]) -> None:
        """Look for renewed files, as long as it runs; open connections stay as they are.

        `tell` gets what is known of the certificate.
        """
        while True:
            if self.paper is not None:
                tell(self.paper)
            await asyncio.sleep(_LOOK)
            self.look()

    def look(self) -> None:
        """Take what was renewed. Half written files are taken at a later look."""
        if (stamp := self._now()) == self._stamp:
            return
        try:
            self._load()
        except (OSError, ssl.SSLError) as exc:
            # The old ones are served meanwhile: nobody is refused for a file that is not whole yet.
            why = f"{self._cert} or {self._key} can't be used ({exc}); the ones before are served."
            self.paper = self._replaced(why)
            return
        self._stamp = stamp
        self.paper = self._paper("")

    def _load(self) -> None:
        # Into a context of its own first: a chain without its key must not stay in ours.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._cert, self._key)
        self.context.load_cert_chain(self._cert, self._key)

    def _now(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in (self._cert, self._key):
            try:
                status = path.stat()
                found += [status.st_ino, status.st_mtime_ns, status.st_size]
            except OSError:
                found.append(None)
        return tuple(found)

    def _replaced(self, error: str) -> Certificate | None:
        before = self.paper
        if before is None:
            return None
        return Certificate(
            kind="page",
            where=before.where,
            begins=before.begins,
            ends=before.ends,
            error=error,
        )

    def _paper(self, error: str) -> Certificate | None:
        """None without the package cryptography: then nobody is warned."""
        try:
            from chapiteau.dash.nodes.certificates import validity_of

            begins, ends = validity_of(self._cert.read_text())
        except (ChapiteauError, ValueError, OSError):
            return None
        return Certificate(
            kind="page", where=str(self._cert), begins=begins, ends=ends, error=error
        )
