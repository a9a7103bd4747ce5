"""What no single setting can say: settings that contradict each other, names that don't exist."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chapiteau.core.graph import CycleError, layers
from chapiteau.core.partial_settings import is_known, until_unknown
from chapiteau.core.problems import did_you_mean
from chapiteau.run.config.access import principal_problem
from chapiteau.run.config.hook_rules import hook_rules
from chapiteau.run.config.service_rules import SERVICE_RULES, Violation, is_octal
from chapiteau.run.config.spec import Check, Plugin, Project, Service, Socket

__all__ = ["violations"]

Found = Iterator[Violation]
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SOCKET_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_RESERVED: Final = frozenset({"all", "supervisor", "keeper", "brain"})
_ADDRESS: Final = ("host", "port", "path", "type", "interface")
_NAMING: Final = {  # which settings of a service name what
    "sockets": "socket",
    "stdin_socket": "socket",
    "needs": "service",
    "after": "service",
    "ready": "socket",
    "live": "socket",
}
_ANY_HOST: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 — compared, not bound


def violations(
    project: Project,
    sockets: Mapping[str, Socket],
    services: Mapping[str, Service],
    plugins: Mapping[str, Plugin],
    raw: Mapping[str, Any],
) -> list[Violation]:
    """Every broken rule with the path it stands at.

    Each may be known in part only (core/partial_settings.py): then what can be said is
    said. `raw` has all
    names, so that a service that could not be read is still known to those that need it.
    """
    known_sockets = _names(raw, "socket")
    known_services = _names(raw, "service")
    found = [*_bad_names(raw), *until_unknown(_bad_people(project))]
    for name, socket in sockets.items():
        found += until_unknown(_bad_socket(name, socket))
    found += _same_address({k: s for k, s in sockets.items() if is_known(s, *_ADDRESS)})
    for name, service in services.items():
        found += _unknown_names(name, service, known_sockets, known_services)
    found += _rings({k: s for k, s in services.items() if is_known(s, "needs", "after")})
    for name, plugin in plugins.items():
        # Here, since the settings of all that are shipped make a big module.
        from chapiteau.run.config.plugin_rules import plugin_rules

        found += until_unknown(plugin_rules({name: plugin}, known_services))
    for name, service in services.items():
        for rule in (*SERVICE_RULES, hook_rules):
            broken = until_unknown(rule(service))
            found += [replace(b, path=("service", name, *b.path)) for b in broken]
    return found


def _names(raw: Mapping[str, Any], section: str) -> tuple[str, ...]:
    part = raw.get(section, {})
    return tuple(part) if isinstance(part, Mapping) else ()


def _bad_names(raw: Mapping[str, Any]) -> Found:
    for section, pattern in (("service", _NAME), ("socket", _SOCKET_NAME), ("plugin", _NAME)):
        for name in _names(raw, section):
            if not pattern.fullmatch(name):
                hint = "use letters, digits, _ and - (services: dots too)"
                yield Violation((section, name), "is not a usable name", hint)
            elif section == "service" and name in _RESERVED:
                yield Violation((section, name), "is a reserved name", "choose another name")


def _bad_people(project: Project) -> Found:
    for role in ("viewers", "operators", "admins"):
        for index, entry in enumerate(getattr(project, role)):
            if problem := principal_problem(entry):
                yield Violation(("project", role, index), problem)


def _bad_socket(name: str, socket: Socket) -> Found:
    here = ("socket", name)
    if socket.mode and not is_octal(socket.mode):
        yield Violation((*here, "mode"), f'{socket.mode!r} is not an octal mode like "0660"')
    if socket.path and socket.port:
        yield Violation((*here, "port"), "a socket has a path or a port, not both")
    for key in ("mode", "owner"):
        if getattr(socket, key) and not socket.path:
            yield Violation((*here, key), "is for Unix sockets only", 'add path = "run/name.sock"')
    for key in ("reuse_port", "interface"):
        if socket.path and getattr(socket, key):
            yield Violation((*here, key), "is for TCP and UDP only")


def _same_address(sockets: Mapping[str, Socket]) -> Found:
    items = list(sockets.items())
    for index, (name, socket) in enumerate(items):
        for other_name, other in items[:index]:
            if _overlap(socket, other):
                key = "path" if socket.path else "port"
                shown = socket.path or f"{socket.host}:{socket.port}"
                yield Violation(
                    ("socket", name, key),
                    f"{shown} is also the address of socket {other_name!r}",
                    "give each its own, or let services share one: sockets = [...]",
                    also=(("socket", other_name, key),),
                )


def _overlap(one: Socket, two: Socket) -> bool:
    if one.type != two.type or bool(one.path) != bool(two.path):
        return False
    if one.path:
        return one.path == two.path
    if not one.port or one.port != two.port or one.interface != two.interface:
        return False
    return one.host == two.host or bool({one.host, two.host} & _ANY_HOST)


def _unknown_names(
    name: str, service: Service, sockets: tuple[str, ...], names: tuple[str, ...]
) -> Found:
    for key, kind in _NAMING.items():
        known = names if kind == "service" else sockets
        for each in _named_by(service, key) if is_known(service, key) else ():
            if each and each not in known:
                hint = did_you_mean(each, known) or f"add a section [{kind}.{each}]"
                yield Violation(("service", name, key), f"there is no {kind} {each!r}", hint)


def _named_by(service: Service, key: str) -> tuple[str, ...]:
    value = getattr(service, key)
    if isinstance(value, Check):
        return _probe_sockets(value.http)
    return (value,) if isinstance(value, str) else value or ()


def _probe_sockets(url: str) -> tuple[str, ...]:
    if not url.startswith("socket:"):
        return ()
    return (url.removeprefix("socket:").partition("/")[0],)


def _rings(services: Mapping[str, Service]) -> Found:
    wants = {name: (*s.needs, *s.after) for name, s in services.items()}
    try:
        layers(wants)
    except CycleError as exc:
        first = exc.cycle[0]
        key = "needs" if exc.cycle[1] in services[first].needs else "after"
        others = [name for name in dict.fromkeys(exc.cycle) if name != first]
        yield Violation(
            ("service", first, key),
            f"these wait for each other in a ring: {' → '.join(exc.cycle)}",
            "take one `needs` or `after` out" if others else "a service can't wait for itself",
            also=tuple(("service", name) for name in others),
        )
