"""Which NATS servers may keep what must not be lost, and what things are called there."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.problems import Problem

__all__ = [
    "NatsNames",
    "NatsServerInfo",
    "hub_rights",
    "node_rights",
    "server_problems",
    "subject_token",
    "url_problems",
    "users_block",
]

# 2.10.20–22 deleted streams when the process crashed (jepsen.io, NATS 2.12.1, 2025-12-08).
_OLDEST: Final = (2, 10, 23)
_URL: Final = re.compile(r"(nats|tls)://(?:[^@/]*@)?(\[[0-9a-fA-F:]+\]|[^:/\[\]@]+)(?::\d+)?/?")
_LOOPBACK: Final = ("localhost", "127.", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServerInfo:
    """What a server says of itself; `varz` is its monitoring page, None when it was not seen."""

    version: str
    jetstream: bool
    varz: Mapping[str, Any] | None = None
    storage: Mapping[str, str] = field(default_factory=dict)  # our streams → "file" or "memory"


def server_problems(facts: NatsServerInfo) -> list[Problem]:
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
class NatsNames:
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
        return f"{self.prefix}.{kind}.{subject_token(node)}"

    def line(self, node: str, session: str, way: str) -> str:
        """One way of a line to a node; sessions are chance."""
        return f"{self.prefix}.line.{subject_token(node)}.{session}.{way}"

    def answer(self, node: str, mark: str) -> str:
        """Where a node's answers to one command go."""
        return f"{self.prefix}.answer.{subject_token(node)}.{mark}"

    def inbox(self, node: str, mark: str) -> str:
        """Below it the server answers one client, and no other client may listen there.

        `node` is empty for a hub; a node's name holds no underscores.
        """
        return f"{self.prefix}.in.{subject_token(node) if node else '_hub'}.{mark}"


def subject_token(node: str) -> str:
    """A node's name as one word of a subject; names hold no underscores."""
    return node.replace(".", "_")


# What a NATS server must be told so that hubs and nodes may do their part, and no more.

Rights = dict[str, list[str]]


def node_rights(names: NatsNames, node: str) -> Rights:
    """It speaks for itself alone, hears its own orders alone, and writes nobody's state."""
    word, api = subject_token(node), "$JS.API"
    nodes, wanted = f"KV_{names.bucket('NODES')}", f"KV_{names.bucket('WANTED')}"
    orders, consumer = names.orders, f"node-{word}"
    return {
        "publish": [
            names.subject("event", node),
            names.subject("here", node),
            names.answer(node, "*"),
            names.line(node, "*", "up"),
            f"$KV.{names.bucket('NODES')}.{word}",
            f"{api}.STREAM.INFO.{nodes}",
            f"{api}.STREAM.MSG.GET.{nodes}",
            f"{api}.STREAM.MSG.GET.{names.events}",
            f"{api}.STREAM.INFO.{wanted}",
            f"{api}.CONSUMER.CREATE.{wanted}",
            f"{api}.CONSUMER.CREATE.{wanted}.>",
            f"{api}.CONSUMER.INFO.{wanted}.*",
            f"{api}.CONSUMER.DELETE.{wanted}.*",
            f"{api}.CONSUMER.CREATE.{orders}.{consumer}.{names.subject('order', node)}",
            f"{api}.CONSUMER.INFO.{orders}.{consumer}",
            f"{api}.CONSUMER.MSG.NEXT.{orders}.{consumer}",
            f"$JS.ACK.{orders}.{consumer}.>",
        ],
        "subscribe": [
            names.subject("dial", node),
            names.line(node, "*", "down"),
            names.inbox(node, ">"),
        ],
    }


def hub_rights(names: NatsNames) -> Rights:
    """All below the prefix, and the streams and buckets that are named after it."""
    buckets = [f"$KV.{names.bucket(kind)}.>" for kind in ("NODES", "WANTED", "LEASES")]
    return {
        "publish": [f"{names.prefix}.>", "$JS.API.>", "$JS.ACK.>", *buckets],
        "subscribe": [f"{names.prefix}.>"],
    }


def users_block(prefix: str, hubs: Iterable[str], nodes: Iterable[str]) -> str:
    """`authorization { … }` for nats-server's file, with `verify_and_map` in its `tls`.

    `hubs`, `nodes`: the DNS name in each one's certificate; a node's is its name.
    """
    names = NatsNames(prefix)
    users = [_user(hub, hub_rights(names), "") for hub in hubs]
    # A node answers a hub's call, wherever that hub listens for it: once.
    users += [_user(node, node_rights(names, node), "allow_responses: true") for node in nodes]
    return "authorization {\n  users: [\n" + "".join(users) + "  ]\n}\n"


def _user(name: str, rights: Rights, more: str) -> str:
    return "".join(f"    {line}\n" for line in _lines(name, rights, more))


def _lines(name: str, rights: Rights, more: str) -> Iterator[str]:
    yield f"{{ user: {json.dumps(name)}, permissions: {{"
    for kind, subjects in rights.items():
        yield f"    {kind}: ["
        yield from (f"      {json.dumps(subject)}" for subject in subjects)
        yield "    ]"
    if more:
        yield f"    {more}"
    yield "} }"
