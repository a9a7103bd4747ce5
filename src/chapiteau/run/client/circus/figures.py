"""What circus-top shows, made from the supervisor's figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from chapiteau.run.client.circus.procinfo import info_of
from chapiteau.run.logic.circus.topics import resource_name

__all__ = ["figures"]


def figures(
    sample: Mapping[str, Any], addresses: Mapping[str, str], supervisor: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and body for each process, service and socket, and for the supervisor ("circus")."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    for key, pid, cpu in zip(sample["ids"], sample["pid"], sample["cpu"], strict=True):
        service = resource_name(key.rpartition("/")[0])
        info = info_of(pid, cpu, sample["time"])
        if info is not None:
            info = {**info, "subtopic": pid, "name": None}
            by_service.setdefault(service, []).append(info)
            yield f"stat.{service}.{pid}", info
    own = info_of(supervisor, sample["supervisor"]["cpu"], sample["time"])
    if own is not None:
        own = {**own, "subtopic": supervisor, "name": "circusd"}
        by_service["circus"] = [own]
        yield f"stat.circus.{supervisor}", own
    for service, infos in by_service.items():
        yield f"stat.{service}", _together(infos)
    yield from _sockets(sample.get("sockets", {}), addresses)


def _together(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Average CPU, sum of memory, age of the oldest: as Circus does."""
    return {
        "pid": [info["pid"] for info in infos],
        "cpu": sum(info["cpu"] for info in infos) / len(infos),
        "mem": sum(info["mem"] for info in infos),
        "age": max(info["age"] for info in infos),
    }


def _sockets(
    sockets: Mapping[str, Any], addresses: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`reads` are the connections that wait to be accepted now."""
    total: dict[str, Any] = {"addresses": [], "reads": 0}
    for fd, (name, facts) in enumerate(sockets.items(), 3):
        address, reads = addresses.get(name, name), facts.get("queued", 0)
        total["addresses"].append(address)
        total["reads"] += reads
        body = {"fd": fd, "subtopic": fd, "reads": reads, "address": address}
        yield f"stat.sockets.{fd}", body
    if sockets:
        yield "stat.sockets", total
