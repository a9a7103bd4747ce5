"""What a NATS server must be told so that hubs and nodes may do their part, and no more."""

import json
from collections.abc import Iterable, Iterator

from chapiteau.dash.logic.nodes.natsrules import Names, token

__all__ = ["hub_rights", "node_rights", "users_block"]

Rights = dict[str, list[str]]


def node_rights(names: Names, node: str) -> Rights:
    """It speaks for itself alone, hears its own orders alone, and writes nobody's state."""
    word, api = token(node), "$JS.API"
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


def hub_rights(names: Names) -> Rights:
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
    names = Names(prefix)
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
