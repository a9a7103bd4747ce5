"""The OpenAPI documents that services published, one release after the other.

A document is read when somebody looks at it, and by itself when a service got ready or was
reloaded: then a change is on record even when nobody had the page open.
"""

import asyncio
import contextlib
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypedDict

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.node import ServiceRequest
from chapiteau.dash.store import open_database
from chapiteau.run.events import EventMessage

__all__ = ["ApiDocuments", "DocumentView", "OlderDocument"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS document (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, service TEXT NOT NULL,
  digest TEXT NOT NULL, since REAL NOT NULL, packed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS document_of ON document (node, service, seq);
"""
_KEPT: Final = 20  # versions of one service on one node
_SETTLE: Final = 1.0  # seconds after which a service that got ready is asked


class OlderDocument(TypedDict):
    """The version before: since when it was published, and what changed since."""

    since: float
    changes: list[dict[str, object]]  # breaking, where, what


class DocumentView(TypedDict):
    """A service's OpenAPI document as it is now, and since when."""

    url: str
    document: Mapping[str, object]
    since: float
    before: OlderDocument | None


class ApiDocuments:
    """Reads documents through the nodes and remembers each that differs from the one before."""

    def __init__(self, path: Path, fleet: Fleet, clock: Clock) -> None:
        self._db = open_database(path, _SCHEMA)
        self._fleet = fleet
        self._clock = clock
        self._looks: dict[tuple[str, str], asyncio.Task[None]] = {}
        fleet.hear(self._happened)

    async def close(self) -> None:
        """Stop looking and close the file."""
        tasks = list(self._looks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._db.close()

    async def read(self, node: str, service: str) -> DocumentView:
        """The document as it is now, since when, and what changed against the one before.

        {"url", "document", "since", "before": None or {"since", "changes": [{"breaking", "where",
        "what"}]}}. Raises NodeAwayError, and ChapiteauError when there is no document.
        """
        answer = await self._fleet.watch(node).node.fetch(ServiceRequest(service=service, path=""))
        if answer.status != 200:
            raise ChapiteauError(f"{answer.url} answered {answer.status}")
        try:
            document = json.loads(answer.body)
        except ValueError as exc:
            raise ChapiteauError(f"{answer.url} is not JSON: {exc}") from exc
        if not isinstance(document, dict):
            raise ChapiteauError(f"{answer.url} is not an OpenAPI document, which is an object")
        self._keep(node, service, document)
        since, before = self._past(node, service, document)
        return {"url": answer.url, "document": document, "since": since, "before": before}

    def count(self, node: str, service: str) -> int:
        """How many versions are kept."""
        row = self._db.execute(
            "SELECT count(*) FROM document WHERE node = ? AND service = ?", (node, service)
        ).fetchone()
        return int(row[0])

    def _happened(self, node: str, event: EventMessage) -> None:
        service = str(event.get("service", ""))
        if event["kind"] not in ("service.ready", "service.reloaded") or not service:
            return
        services = self._fleet.watch(node).status.get("services", ())
        if not any(s["name"] == service and s["openapi"] for s in services):
            return
        if before := self._looks.pop((node, service), None):
            before.cancel()
        self._looks[node, service] = asyncio.create_task(self._look_soon(node, service))

    async def _look_soon(self, node: str, service: str) -> None:
        await asyncio.sleep(_SETTLE)
        # Nobody waits for this: who opens the page asks again, and is told what is wrong.
        with contextlib.suppress(ChapiteauError):
            await self.read(node, service)

    def _keep(self, node: str, service: str, document: Mapping[str, object]) -> None:
        text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(text).hexdigest()
        last = self._db.execute(
            "SELECT digest FROM document WHERE node = ? AND service = ? ORDER BY seq DESC LIMIT 1",
            (node, service),
        ).fetchone()
        if last and last[0] == digest:
            return
        self._db.execute(
            "INSERT INTO document (node, service, digest, since, packed) VALUES (?, ?, ?, ?, ?)",
            (node, service, digest, self._clock.wall(), zlib.compress(text)),
        )
        self._db.execute(
            "DELETE FROM document WHERE node = ? AND service = ? AND seq NOT IN (SELECT seq FROM"
            " document WHERE node = ? AND service = ? ORDER BY seq DESC LIMIT ?)",
            (node, service, node, service, _KEPT),
        )

    def _past(
        self, node: str, service: str, document: dict[str, Any]
    ) -> tuple[float, OlderDocument | None]:
        rows = self._db.execute(
            "SELECT since, packed FROM document WHERE node = ? AND service = ?"
            " ORDER BY seq DESC LIMIT 2",
            (node, service),
        ).fetchall()
        if len(rows) < 2:
            return rows[0][0], None
        # Only now: the service wing brings Pyramid, which a hub has no other use for.
        from chapiteau.service.openapi.diff import compare

        older = json.loads(zlib.decompress(rows[1][1]))
        changes = [change.to_dict() for change in compare(older, document)]
        return rows[0][0], {"since": rows[1][0], "changes": changes}
