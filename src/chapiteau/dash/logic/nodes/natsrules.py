"""Which NATS servers may keep what must not be lost, and what things are called there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.problems import Problem

__all__ = ["Names", "ServerFacts", "server_problems", "token", "url_problems"]

# 2.10.20–22 deleted streams when the process crashed (jepsen.io, NATS 2.12.1, 2025-12-08).
_OLDEST: Final = (2, 10, 23)
_URL: Final = re.compile(r"(nats|tls)://(?:[^@/]*@)?(\[[0-9a-fA-F:]+\]|[^:/\[\]@]+)(?::\d+)?/?")
_LOOPBACK: Final = ("localhost", "127.", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself; `varz` is its monitoring page, None when it was not seen."""

    version: str
    jetstream: bool
    varz: Mapping[str, Any] | None = None
    storage: Mapping[str, str] = field(default_factory=dict)  # our streams → "file" or "memory"


def server_problems(facts: ServerFacts) -> list[Problem]:
    """Why acknowledged writes would not be safe there; empty when they are."""
    where = f"NATS server {facts.version}"
    found = []
    if _numbers(facts.version) < _OLDEST:
        found.append(
            Problem(
                where,
                "loses whole streams when its process crashes",
                f"run {'.'.join(map(str, _OLDEST))} or newer; Debian 12's 2.9 is too old",
            )
        )
    if not facts.jetstream:
        found.append(
            Problem(where, "keeps nothing: JetStream is off", 'jetstream { store_dir: "/var/…" }')
        )
        return found
    if facts.varz is None:
        found.append(
            Problem(
                where,
                "does not show whether it writes to disk before it acknowledges",
                'open its monitoring (http: "127.0.0.1:8222") and set hub.nats.monitor',
            )
        )
    elif not _config(facts.varz).get("sync_always"):
        every = int(_config(facts.varz).get("sync_interval") or 120e9) / 1e9
        found.append(
            Problem(
                where,
                f"acknowledges first and writes to disk every {every:g} s: a power cut loses both",
                "jetstream { sync_interval: always }",
            )
        )
    for name, kind in facts.storage.items():
        if kind != "file":
            found.append(
                Problem(where, f"keeps {name} in {kind}", "delete it; the hub makes it anew")
            )
    return found


def url_problems(url: str, *, has_ca: bool) -> list[Problem]:
    """Why this address must not be used as it is."""
    found = []
    for one in url.split(","):
        match = _URL.fullmatch(one.strip())
        if match is None:
            found.append(
                Problem("hub.nats.url", f"not an address: {one!r}", "nats://HOST:4222, tls://…")
            )
        elif match[1] == "nats" and not has_ca and not match[2].strip("[]").startswith(_LOOPBACK):
            found.append(
                Problem(
                    "hub.nats.url",
                    f"{match[2]} is another machine, and there is no TLS",
                    "tls://… (and hub.nats.ca), or keep the server on loopback",
                )
            )
    return found


def _config(varz: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (varz.get("jetstream") or {}).get("config") or {}
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3])


@dataclass(frozen=True, slots=True)
class Names:
    """Subjects, streams and buckets below one prefix."""

    prefix: str

    @property
    def stem(self) -> str:
        """Of streams and buckets, which may hold no dots."""
        return self.prefix.replace(".", "_").upper()

    @property
    def events(self) -> str:
        """Stream of all nodes' events."""
        return f"{self.stem}_EVENTS"

    @property
    def orders(self) -> str:
        """Stream of commands."""
        return f"{self.stem}_ORDERS"

    def bucket(self, kind: str) -> str:
        """WANTED, LEASES or NODES."""
        return f"{self.stem}_{kind}"

    def subject(self, kind: str, node: str) -> str:
        """`event`, `order`, `dial`, `here`; a node's dots would make more words of it."""
        return f"{self.prefix}.{kind}.{token(node)}"

    def line(self, node: str, session: str, way: str) -> str:
        """One way of a line to a node; sessions are chance."""
        return f"{self.prefix}.line.{token(node)}.{session}.{way}"

    def answer(self, node: str, mark: str) -> str:
        """Where a node's answers to one command go."""
        return f"{self.prefix}.answer.{token(node)}.{mark}"

    def inbox(self, node: str, mark: str) -> str:
        """Below it the server answers one client, and no other client may listen there.

        `node` is empty for a hub; a node's name holds no underscores.
        """
        return f"{self.prefix}.in.{token(node) if node else '_hub'}.{mark}"


def token(node: str) -> str:
    """A node's name as one word of a subject; names hold no underscores."""
    return node.replace(".", "_")
