"""Several units together: services, their sockets, and the order among them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.finish import finish
from chapiteau.migrate.ini import Section, read_systemd
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.source import ImportOptions, Option, Source, unreadable
from chapiteau.migrate.systemd.commands import fill, specifiers
from chapiteau.migrate.systemd.services import (
    apply_rules,
    convert_service,
    fill_specifiers,
    last_wins,
)

__all__ = ["convert_socket", "import_systemd"]


# [Socket] of one unit → one [socket.NAME] for each address.

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d+)")
_OWN: Final = frozenset({"ListenStream", "ListenDatagram", "FileDescriptorName", "Service"})
_UNIX_ONLY: Final = ("mode", "owner")


def convert_socket(draft: Draft, unit: str, options: Sequence[Option]) -> list[str]:
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
        made.append(_sockets_socket(draft, named, option, settings, rest))
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


def _sockets_socket(
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


_ORDER: Final = ("Requires", "Requisite", "BindsTo", "BindTo", "Wants", "After", "Before")
_HARD: Final = ("Requires", "Requisite", "BindsTo", "BindTo")


@dataclass(slots=True)
class _Unit:
    name: str  # "web.service"
    source: Source
    sections: list[Section] = field(default_factory=list)

    def options(self, section: str) -> list[Option]:
        return [o for s in self.sections if s.name == section for o in s.options]

    def has(self, section: str) -> bool:
        return any(s.name == section for s in self.sections)


def import_systemd(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """Service and socket units, with drop-ins and socket units that lie beside them.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    units = _gather(sources, choices)
    services: dict[str, str] = {}
    for unit in units:
        if unit.name.endswith(".socket"):
            continue
        if not unit.has("Service"):
            raise unreadable(
                unit.source.name,
                "has no [Service] section",
                "service and socket units can be imported; timers and targets can't",
            )
        section = next(s for s in unit.sections if s.name == "Service")
        named = Option(
            name="name",
            value=unit.name.rpartition(".")[0],
            where=section.where,
            section=section.title,
        )
        services[unit.name] = draft.named("service", named).name
    for unit in units:
        if unit.name in services:
            _service(draft, draft.table("service", services[unit.name]), unit)
    for unit in units:
        if unit.name.endswith(".socket"):
            _socket(draft, unit, services, units)
    _explicit_sockets(draft, units, services)
    _order(draft, units, services)
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (systemd).")


def _gather(sources: Sequence[Source], choices: ImportOptions) -> list[_Unit]:
    units: dict[str, _Unit] = {}
    waiting = list(sources)
    while waiting:
        source = waiting.pop(0)
        name = source.name.rpartition("/")[2]
        if name in units:
            continue
        unit = units[name] = _Unit(name, source, read_systemd(source))
        for drop_in in choices.beside(source, f"{name}.d/*.conf"):
            unit.sections += read_systemd(drop_in)
        if name.endswith(".service"):
            waiting += choices.beside(source, f"{name.removesuffix('.service')}.socket")
    return list(units.values())


def _service(draft: Draft, target: Target, unit: _Unit) -> None:
    convert_service(draft, target, unit.name, unit.options("Service"))
    plain = [o for o in last_wins(unit.options("Unit"), target) if o.name not in _ORDER]
    apply_rules(fill_specifiers(plain, unit.name, target), target, "Unit")
    apply_rules([o for o in unit.options("Install") if o.value != ""], target, "Install")
    _strangers(target, unit)


def _strangers(target: Target, unit: _Unit) -> None:
    known = ("Service", "Socket", "Unit", "Install")
    for section in unit.sections:
        for option in section.options:
            if option.name == "":
                target.lost(option, "is a line that systemd ignores", "correct it")
            elif section.name not in known and not section.name.startswith("X-"):
                target.lost(option, "stands in a section that has no equal", "see the how-to guide")


# ── sockets ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, unit: _Unit, services: dict[str, str], units: list[_Unit]) -> None:
    options = unit.options("Socket")
    names = convert_socket(draft, unit.name, options)
    top = draft.table("project")
    plain = [o for o in unit.options("Unit") if o.name not in _ORDER]
    apply_rules([o for o in plain if o.name != "Description"], top, "Unit")
    for option in (o for o in plain if o.name == "Description"):
        top.kept(option, "described the socket")
    apply_rules(unit.options("Install"), top, "Install")
    _strangers(top, unit)
    given = next((str(o.value) for o in options if o.name == "Service"), "")
    wanted = given or f"{unit.name.removesuffix('.socket')}.service"
    if wanted not in services:
        named = Option(name="Service", value=wanted, where=unit.source.where(1), section="[Socket]")
        top.lost(named, f"{wanted} is not among the imported files", "import it too")
        return
    target = draft.table("service", services[wanted])
    target.set("sockets", [*(target.get("sockets") or ()), *names])
    service = next(u for u in units if u.name == wanted)
    enabled = any(o.name in ("WantedBy", "RequiredBy") for o in service.options("Install"))
    if not enabled and not target.get("one_shot"):
        # Without [Install] only the socket starts the service: at its first connection.
        target.set("on_demand", True)


def _explicit_sockets(draft: Draft, units: list[_Unit], services: dict[str, str]) -> None:
    known = draft.tables.get("socket", {})
    for unit in units:
        for option in (o for o in unit.options("Service") if o.name == "Sockets"):
            target = draft.table("service", services[unit.name])
            names = [n.removesuffix(".socket") for n in str(option.value).split()]
            have = [*(target.get("sockets") or ()), *(n for n in names if n in known)]
            if have:
                target.set("sockets", list(dict.fromkeys(have)), option)
            missing = [n for n in names if n not in known]
            if missing:
                target.lost(option, f"{', '.join(missing)}.socket: not imported", "import it too")
            else:
                target.kept(option, "sockets")


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def _order(draft: Draft, units: list[_Unit], services: dict[str, str]) -> None:
    for unit in units:
        own = services.get(unit.name)
        for option in (o for o in unit.options("Unit") if o.name in _ORDER):
            for other in str(option.value).split():
                if own is not None:
                    _one(draft, unit, own, option, other, services)


def _one(
    draft: Draft, unit: _Unit, own: str, option: Option, other: str, services: dict[str, str]
) -> None:
    target = draft.table("service", own)
    if other.endswith(".socket"):
        target.kept(option, f"{other}: sockets are there before any service")
    elif other not in services:
        target.lost(
            option,
            f"{other} is not among the imported files",
            "import it too, or name it in the unit that starts Chapiteau (chapiteau run unit)",
        )
    elif option.name == "Before":
        _add(draft.table("service", services[other]), "after", own, option)
        target.kept(option, f"after of {services[other]}")
    elif option.name in _HARD:
        _add(target, "needs", services[other], option)
        target.kept(option, "needs")
    elif option.name == "After":
        _add(target, "after", services[other], option)
        target.kept(option, "after")
    else:
        target.kept(option, f"{services[other]} is among the services")


def _add(target: Target, key: str, name: str, option: Option) -> None:
    hard = target.get("needs") or ()
    if key == "after" and name in hard:
        return
    if key == "needs" and name in (target.get("after") or ()):
        target.values["after"] = [n for n in target.values["after"] if n != name]
        if not target.values["after"]:
            del target.values["after"]
    target.set(key, list(dict.fromkeys([*(target.get(key) or ()), name])), option)
