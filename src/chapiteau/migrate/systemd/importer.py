"""Several units together: services, their sockets, and the order among them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.finish import finish
from chapiteau.migrate.ini import Section, read_systemd
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import ImportOptions, Option, Source, unreadable
from chapiteau.migrate.systemd.commands import fill, specifiers
from chapiteau.migrate.systemd.rules import TABLES
from chapiteau.migrate.systemd.services import convert_service, fill_specifiers, last_wins

__all__ = ["import_systemd"]

_HARD: Final = ("Requires", "Requisite", "BindsTo", "BindTo")
_ORDER: Final = (*_HARD, "Wants", "After", "Before")
_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d+)")
_OTHER: Final = {"ListenStream", "ListenDatagram", "FileDescriptorName", "Service"}


@dataclass(slots=True)
class _Unit:
    name: str  # "web.service"
    source: Source
    sections: list[Section] = field(default_factory=list)

    def options(self, section: str) -> list[Option]:
        return [o for s in self.sections if s.name == section for o in s.options]


def import_systemd(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """Service and socket units, with drop-ins and socket units that lie beside them.

    Raises UsageError, with the line, for a file that is no such file.
    """
    draft = Draft()
    units = _gather(sources, options)
    services: dict[str, Target] = {}
    for unit in units:
        if unit.name.endswith(".socket"):
            continue
        section = next((s for s in unit.sections if s.name == "Service"), None)
        if section is None:
            hint = "service and socket units can be imported; timers and targets can't"
            raise unreadable(unit.source.name, "has no [Service] section", hint)
        name = unit.name.rpartition(".")[0]
        services[unit.name] = draft.named("service", section.named(name))
    for unit in units:
        if unit.name in services:
            _service(draft, services[unit.name], unit)
    for unit in units:
        if unit.name.endswith(".socket"):
            _socket(draft, unit, services, units)
    for unit in units:
        if unit.name in services:
            _explicit_sockets(services[unit.name], unit)
            _order(services[unit.name], unit, services)
    return finish(draft, sources, "systemd")


def _gather(sources: Sequence[Source], options: ImportOptions) -> list[_Unit]:
    units: dict[str, _Unit] = {}
    waiting = list(sources)
    while waiting:
        source = waiting.pop(0)
        name = source.name.rpartition("/")[2]
        if name in units:
            continue
        unit = units[name] = _Unit(name, source, read_systemd(source))
        for drop_in in options.nearby(source, f"{name}.d/*.conf"):
            unit.sections += read_systemd(drop_in)
        if name.endswith(".service"):
            waiting += options.nearby(source, f"{name.removesuffix('.service')}.socket")
    return list(units.values())


def _service(draft: Draft, target: Target, unit: _Unit) -> None:
    convert_service(draft, target, unit.name, unit.options("Service"))
    plain = [o for o in last_wins(unit.options("Unit"), target) if o.name not in _ORDER]
    apply_rules(fill_specifiers(plain, unit.name, target), TABLES["Unit"], target)
    apply_rules([o for o in unit.options("Install") if o.value != ""], TABLES["Install"], target)
    _unknown(target, unit)


def _unknown(target: Target, unit: _Unit) -> None:
    for section in unit.sections:
        for option in section.options:
            if option.name == "":
                target.lost(option, "is a line that systemd ignores", "correct it")
            elif section.name not in TABLES and not section.name.startswith("X-"):
                target.lost(option, "is in a section that has no equal", "see the how-to guide")


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def _order(target: Target, unit: _Unit, services: dict[str, Target]) -> None:
    for option in (o for o in unit.options("Unit") if o.name in _ORDER):
        for other in str(option.value).split():
            if other.endswith(".socket"):
                target.kept(option, f"{other}: sockets are there before any service")
            elif other not in services:
                target.lost(
                    option,
                    f"{other} is not among the imported files",
                    "import it too, or name it in the unit that starts Chapiteau "
                    "(chapiteau run unit)",
                )
            else:
                _wait(target, option, services[other])


def _wait(target: Target, option: Option, other: Target) -> None:
    if option.name == "Before":
        _add(other, "after", target.name, option)
        target.kept(option, f"after of {other.name}")
    elif option.name == "Wants":
        target.kept(option, f"{other.name} is among the services")
    else:
        key = "needs" if option.name in _HARD else "after"
        _add(target, key, other.name, option)
        target.kept(option, key)


def _add(target: Target, key: str, name: str, option: Option) -> None:
    if key == "after" and name in (target.get("needs") or ()):
        return
    after = target.values.get("after", [])
    if key == "needs" and name in after:
        after.remove(name)
        if not after:
            del target.values["after"]
    target.add(key, [name], option)


# ── sockets ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, unit: _Unit, services: dict[str, Target], units: Sequence[_Unit]) -> None:
    options, top = unit.options("Socket"), draft.project
    names = _sockets(draft, unit.name, options)
    plain = [o for o in unit.options("Unit") if o.name not in _ORDER]
    apply_rules([o for o in plain if o.name != "Description"], TABLES["Unit"], top)
    for option in (o for o in plain if o.name == "Description"):
        top.kept(option, "described the socket")
    apply_rules(unit.options("Install"), TABLES["Install"], top)
    _unknown(top, unit)
    given = next((str(o.value) for o in options if o.name == "Service"), "")
    wanted = given or f"{unit.name.removesuffix('.socket')}.service"
    if wanted not in services:
        named = Option(name="Service", value=wanted, where=unit.source.where(1), section="[Socket]")
        top.lost(named, f"{wanted} is not among the imported files", "import it too")
        return
    target = services[wanted]
    target.add("sockets", names)
    service = next(u for u in units if u.name == wanted)
    enabled = any(o.name in ("WantedBy", "RequiredBy") for o in service.options("Install"))
    if not enabled and not target.get("one_shot"):
        # Without [Install] only the socket starts the service: at its first connection.
        target.set("on_demand", True)


def _sockets(draft: Draft, unit: str, options: Sequence[Option]) -> list[str]:
    """One [socket.NAME] for each address of a unit; gives their names."""
    top, wanted = draft.project, unit.rpartition(".")[0]
    addresses: list[Option] = []
    for option in options:
        if option.name == "FileDescriptorName":
            wanted = str(option.value)
            top.kept(option, "the socket's name")
        elif option.name == "Service":
            top.kept(option, "sockets of that service")
        elif option.name in ("ListenStream", "ListenDatagram"):
            # An empty assignment forgets those before it.
            addresses = [*addresses, option] if option.value else []
    rest = last_wins([o for o in options if o.name and o.name not in _OTHER], top)
    made: list[str] = []
    for option in addresses:
        with top.reading(option, "add a [socket.NAME] by hand"):
            settings = _address(fill(str(option.value), specifiers(unit)))
            target = draft.fresh("socket", replace(option, value=wanted))
            made.append(target.name)
            _one_socket(target, option, settings, rest)
    for option in () if made else rest:
        top.lost(option, "belongs to a socket without an address", "add ListenStream=")
    return made


def _one_socket(
    target: Target, option: Option, settings: dict[str, str | int], rest: Sequence[Option]
) -> None:
    for key, value in settings.items():
        target.set(key, value, option)
    if option.name == "ListenDatagram":
        target.set("type", "datagram")
    target.kept(option, target.title)
    if settings.get("host") == "::" and str(option.value).strip().isdecimal():
        target.changed(option, "is bound to :: as systemd does", 'host = "0.0.0.0" is IPv4 only')
    apply_rules(rest, TABLES["Socket"], target)
    if "path" in settings:
        target.defaults({"mode": "0666"})  # systemd's default
    else:
        for key in ("mode", "owner"):
            target.values.pop(key, None)


def _address(text: str) -> dict[str, str | int]:
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


def _explicit_sockets(target: Target, unit: _Unit) -> None:
    known = target.draft.tables.get("socket", {})
    for option in (o for o in unit.options("Service") if o.name == "Sockets"):
        names = [n.removesuffix(".socket") for n in str(option.value).split()]
        if found := [n for n in names if n in known]:
            target.add("sockets", found, option)
        if missing := [n for n in names if n not in known]:
            target.lost(option, f"{', '.join(missing)}.socket: not imported", "import it too")
        else:
            target.kept(option, "sockets")
