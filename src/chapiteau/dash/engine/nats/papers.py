"""What makes a server a node at a NATS server: where that is, and as whom."""

import json
from pathlib import Path

from nats.errors import Error as NatsError

from chapiteau.core.errors import UnreachableError
from chapiteau.dash.engine.nats.server import NatsPlace, connect
from chapiteau.dash.engine.plane.steering import forget
from chapiteau.plumbing.files import write_atomic

__all__ = ["join_at"]


async def join_at(folder: Path, place: NatsPlace, name: str) -> None:
    """Look whether a hub has been there, and keep the papers. Raises UnreachableError."""
    wire = await connect(place, keeps=False, name=name, node=name)
    try:
        await wire.bucket("NODES")
    except (NatsError, OSError) as exc:
        raise UnreachableError(
            f"no hub has set up {place.prefix!r} at the NATS server ({exc})",
            hint="start one first, with the same hub.nats.prefix: chapiteau hub up",
        ) from exc
    finally:
        await wire.close()
    forget(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {
        "url": place.url,
        "prefix": place.prefix,
        "creds": str(place.creds or ""),
        "ca": str(place.ca or ""),
        "cert": str(place.cert or ""),
        "key": str(place.key or ""),
    }
    facts = json.dumps({"name": name, "nats": kept})
    write_atomic(folder / "hub.json", facts.encode(), mode=0o600)
