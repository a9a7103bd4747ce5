"""[Socket] of one unit → one [socket.NAME] for each address."""

import re
from collections.abc import Sequence
from typing import Any, Final

from chapiteau.run.logic.imports.draft import Draft
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.systemd.services import apply_rules, last_wins
from chapiteau.run.logic.imports.systemd.words import fill, specifiers

__all__ = ["take_socket"]

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d+)")
_OWN: Final = frozenset({"ListenStream", "ListenDatagram", "FileDescriptorName", "Service"})
_UNIX_ONLY: Final = ("mode", "owner")


def take_socket(draft: Draft, unit: str, options: Sequence[Option]) -> list[str]:
    """The sockets of one unit; gives their names."""
    known = specifiers(unit)
    top = draft.table("project")
    wanted = unit.rpartition(".")[0]
    for option in options:
        if option.name == "FileDescriptorName":
            wanted = str(option.value)
            top.kept(option, "the socket's name")
        elif option.name == "Service":
            top.kept(option, "sockets of that service")
    made: list[str] = []
    rest = last_wins([o for o in options if o.name not in _OWN], top)
    for option in _addresses(options):
        try:
            settings = _address(fill(str(option.value), known))
        except ValueError as exc:
            top.lost(option, f"its value can't be used: {exc}", "add a [socket.NAME] by hand")
            continue
        named = Option(name=option.name, value=wanted, where=option.where, section=option.section)
        made.append(_socket(draft, named, option, settings, rest))
    if not made:
        for option in rest:
            top.lost(option, "belongs to a socket without an address", "add ListenStream=")
    return made


def _addresses(options: Sequence[Option]) -> list[Option]:
    """Every address; an empty assignment forgets those before it, as in systemd."""
    found: list[Option] = []
    for option in options:
        if option.name in ("ListenStream", "ListenDatagram"):
            found = [*found, option] if option.value else []
    return found


def _socket(
    draft: Draft, named: Option, option: Option, settings: dict[str, Any], rest: Sequence[Option]
) -> str:
    name = draft.fresh_name("socket", str(named.value))
    target = draft.table("socket", name)
    draft.origins[target.path] = named
    for key, value in settings.items():
        target.set(key, value, option)
    if option.name == "ListenDatagram":
        target.set("type", "datagram")
    target.kept(option, f"[socket.{name}]")
    if settings.get("host") == "::" and str(option.value).strip().isdecimal():
        target.changed(option, "is bound to :: as systemd does", 'host = "0.0.0.0" is IPv4 alone')
    apply_rules(rest, target, "Socket")
    if "path" in settings:
        target.values.setdefault("mode", "0666")  # systemd's default
    else:
        for key in _UNIX_ONLY:
            target.values.pop(key, None)
    return name


def _address(text: str) -> dict[str, Any]:
    value = text.strip()
    if value.startswith("/"):
        return {"path": value}
    if value.startswith("@"):
        raise ValueError(f"{value} is an abstract Unix socket: it has no rights")
    if value.isdecimal():
        return {"host": "::", "port": int(value)}
    match = _ADDRESS.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is neither a path nor an address with a port")
    return {"host": match["six"] or match["four"], "port": int(match["port"])}
