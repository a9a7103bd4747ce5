"""Several units together: services, their sockets, and the order among them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from chapiteau.run.logic.imports.draft import Draft, Target
from chapiteau.run.logic.imports.finish import finish
from chapiteau.run.logic.imports.notes import Imported
from chapiteau.run.logic.imports.reading.ini import Section, read_systemd
from chapiteau.run.logic.imports.reading.source import Choices, Option, Source, unreadable
from chapiteau.run.logic.imports.systemd.services import (
    apply_rules,
    filled,
    last_wins,
    take_service,
)
from chapiteau.run.logic.imports.systemd.sockets import take_socket

__all__ = ["import_systemd"]

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


def import_systemd(sources: Sequence[Source], choices: Choices) -> Imported:
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


def _gather(sources: Sequence[Source], choices: Choices) -> list[_Unit]:
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
    take_service(draft, target, unit.name, unit.options("Service"))
    plain = [o for o in last_wins(unit.options("Unit"), target) if o.name not in _ORDER]
    apply_rules(filled(plain, unit.name, target), target, "Unit")
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
    names = take_socket(draft, unit.name, options)
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
