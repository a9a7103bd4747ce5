"""What a changed configuration changes: two Specs in, an ordered list of changes out.

Sockets are bound first, services that are gone stop (dependents before what they need), others
change in the order of their needs, and sockets that nobody needs any more are closed at last.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, Literal

from chapiteau.core.graph import start_order
from chapiteau.core.text import format_table
from chapiteau.run.config.command import split_command
from chapiteau.run.config.spec import Service, Socket, Spec

__all__ = ["Change", "Difference", "Plan", "make_plan"]

What = Literal["project", "log", "plugin", "socket", "service"]
Effect = Literal["start", "stop", "restart", "reload", "scale", "apply", "bind", "close", "replace",
                 "refuse"]  # fmt: skip

# A process gets these when it is made: it must be made again to get others.
_AT_SPAWN: Final = frozenset(
    "command app threads shell sockets stdin stdin_socket fd_store cwd env env_files clean_env "
    "virtualenv user group umask nice oom_score no_new_privs capabilities watchdog one_shot "
    "limits.open_files limits.processes limits.core limits.stack limits.file_size "
    "limits.address_space".split()
)
# A listening socket has these from the moment it is bound.
_AT_BIND: Final = frozenset("host port path type reuse_port interface blocking".split())
# These can't change while the supervisor runs.
_FIXED: Final = frozenset({"run_dir"})
_NOTHING: Final[dict[str, Collection[str]]] = {}
_MARK: Final = {"add": "+", "remove": "-", "change": "~"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting with another value. Values of the environment are not shown."""

    setting: str  # dotted, like "restart.attempts"
    old: Any
    new: Any
    drift: bool = False  # the old value was set at run time

    def __str__(self) -> str:
        note = " (was set at run time)" if self.drift else ""
        if self.setting == "env" or self.setting.startswith("env."):
            return self.setting + note
        return f"{self.setting} {_shown(self.old)} → {_shown(self.new)}{note}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        note = {"drift": True} if self.drift else {}
        if self.setting.startswith("env."):
            return {"setting": self.setting, **note}
        return {"setting": self.setting, "old": self.old, "new": self.new, **note}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that changes, and what that does to what runs."""

    kind: Literal["add", "remove", "change"]
    what: What
    name: str
    effect: Effect
    why: str = ""  # when not a setting of its own changed
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return format_table([self.row()])

    def row(self) -> tuple[str, str, str]:
        """Its line in a table."""
        detail = ", ".join(map(str, self.differences)) or self.why
        return f"{_MARK[self.kind]} {self.what} {self.name}".rstrip(), self.effect, detail

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        made: dict[str, Any] = {
            "kind": self.kind,
            "what": self.what,
            "name": self.name,
            "effect": self.effect,
            "text": str(self),
        }
        if self.why:
            made["why"] = self.why
        if self.differences:
            made["differences"] = [d.to_dict() for d in self.differences]
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes in the order in which they are made."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def refused(self) -> tuple[Change, ...]:
        """Changes that can't be made while running: with any of them, nothing is applied."""
        return tuple(c for c in self.changes if c.effect == "refuse")

    def of(self, what: What) -> tuple[Change, ...]:
        """The changes of one kind of thing, in order."""
        return tuple(c for c in self.changes if c.what == what)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"schema": 1, "changes": [c.to_dict() for c in self.changes]}

    def brief(self) -> str:
        """In one line: how many, and of what."""
        names = list(dict.fromkeys(f"{c.what} {c.name}".rstrip() for c in self.changes))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        count = f"{len(self.changes)} change{'s' if len(self.changes) != 1 else ''}"
        return f"{count}: {', '.join(names[:3])}{more}"

    def text(self) -> str:
        """For people."""
        if not self.changes:
            return "nothing would change"
        return format_table([c.row() for c in self.changes])


def make_plan(old: Spec, new: Spec, overrides: Mapping[str, Collection[str]] = _NOTHING) -> Plan:
    """Every change between the two; equal ones give an empty plan.

    `overrides` are the settings of `old` that were set at run time, by service: shown as drift.
    """
    replaced = {
        name
        for name, socket in new.socket.items()
        if name in old.socket
        and _effect_on_socket(_differences(old.socket[name], socket)) == "replace"
    }
    services = [
        _marked_as_drift(c, overrides.get(c.name, ())) for c in _services(old, new, replaced)
    ]
    order = [
        *_project(old, new),
        *(c for c in _sockets(old.socket, new.socket) if c.effect != "close"),
        *_removed(old, services),
        *_in_start_order(new, services),
        *(c for c in _sockets(old.socket, new.socket) if c.effect == "close"),
        *_plugins(old, new),
    ]
    return Plan(changes=tuple(order))


def _marked_as_drift(change: Change, own: Collection[str]) -> Change:
    """With those differences marked that come from settings at run time."""
    if not own or not change.differences:
        return change
    marked = tuple(
        replace(d, drift=True) if any(_same_place(d.setting, key) for key in own) else d
        for d in change.differences
    )
    return replace(change, differences=marked)


def _same_place(one: str, two: str) -> bool:
    return one == two or one.startswith(f"{two}.") or two.startswith(f"{one}.")


def _project(old: Spec, new: Spec) -> Iterator[Change]:
    for what in ("project", "log"):
        found = _differences(getattr(old, what), getattr(new, what))
        if found:
            fixed = any(d.setting in _FIXED for d in found)
            yield Change(
                kind="change",
                what=what,
                name="",
                effect="refuse" if fixed else "apply",
                why="stop with `chapiteau down`, then `chapiteau up`" if fixed else "",
                differences=found,
            )


def _sockets(old: Mapping[str, Socket], new: Mapping[str, Socket]) -> Iterator[Change]:
    for name, socket in new.items():
        if name not in old:
            yield Change(kind="add", what="socket", name=name, effect="bind")
        elif found := _differences(old[name], socket):
            yield Change(
                kind="change",
                what="socket",
                name=name,
                effect=_effect_on_socket(found),
                differences=found,
            )
    for name in old:
        if name not in new:
            yield Change(kind="remove", what="socket", name=name, effect="close")


def _effect_on_socket(found: tuple[Difference, ...]) -> Effect:
    return "replace" if any(d.setting in _AT_BIND for d in found) else "apply"


def _services(old: Spec, new: Spec, replaced: set[str]) -> Iterator[Change]:
    for name, service in new.service.items():
        before = old.service.get(name)
        if before is None:
            starts = service.autostart and not service.on_demand and not service.schedule
            effect: Effect = "start" if starts else "apply"
            yield Change(kind="add", what="service", name=name, effect=effect)
            continue
        found = _differences(before, service)
        if _same_words(before, service):
            found = tuple(d for d in found if d.setting != "command")
        moved = sorted(replaced & {*service.sockets, service.stdin_socket})
        if found or moved:
            yield Change(
                kind="change",
                what="service",
                name=name,
                effect=_effect_on_service(service, found, moved=bool(moved)),
                why=f"socket {', '.join(moved)} is replaced" if moved else "",
                differences=found,
            )
    for name in old.service:
        if name not in new.service:
            yield Change(kind="remove", what="service", name=name, effect="stop")


def _same_words(one: Service, two: Service) -> bool:
    """A command as a line and as a list of its words is one command."""
    if one.shell or two.shell:
        return False
    return split_command(one.command) == split_command(two.command)


def _effect_on_service(service: Service, found: tuple[Difference, ...], *, moved: bool) -> Effect:
    if moved or any(_top(d.setting) in _AT_SPAWN or d.setting in _AT_SPAWN for d in found):
        # Two generations side by side are safe where the socket is held for them; a program
        # that binds its own port, or must be alone, has to go before its successor comes.
        held = service.sockets or service.stdin_socket
        return "reload" if held and not service.one_shot else "restart"
    if any(d.setting == "processes" for d in found):
        return "scale"
    return "apply"


def _removed(old: Spec, services: list[Change]) -> list[Change]:
    """Gone services, dependents first."""
    order = {name: rank for rank, name in enumerate(_start_order(old))}
    gone = [c for c in services if c.kind == "remove"]
    return sorted(gone, key=lambda c: -order[c.name])


def _in_start_order(new: Spec, services: list[Change]) -> list[Change]:
    order = {name: rank for rank, name in enumerate(_start_order(new))}
    return sorted((c for c in services if c.kind != "remove"), key=lambda c: order[c.name])


def _start_order(spec: Spec) -> list[str]:
    return start_order({name: (*s.needs, *s.after) for name, s in spec.named()})


def _plugins(old: Spec, new: Spec) -> Iterator[Change]:
    for name, plugin in new.plugin.items():
        if name not in old.plugin:
            yield Change(kind="add", what="plugin", name=name, effect="start")
        elif found := _differences(old.plugin[name], plugin):
            yield Change(
                kind="change", what="plugin", name=name, effect="restart", differences=found
            )
    for name in old.plugin:
        if name not in new.plugin:
            yield Change(kind="remove", what="plugin", name=name, effect="stop")


def _differences(old: Any, new: Any, prefix: str = "") -> tuple[Difference, ...]:
    """Settings that differ; tables and nested settings are walked into."""
    found: list[Difference] = []
    for field in fields(old):
        one, two = getattr(old, field.name), getattr(new, field.name)
        setting = f"{prefix}{field.name}"
        if one == two:
            continue
        if is_dataclass(one) and type(one) is type(two):
            found += _differences(one, two, f"{setting}.")
        elif isinstance(one, dict) and isinstance(two, dict):
            found += [
                Difference(setting=f"{setting}.{key}", old=one.get(key), new=two.get(key))
                for key in dict.fromkeys([*one, *two])
                if one.get(key) != two.get(key)
            ]
        else:
            found.append(Difference(setting=setting, old=_plain(one), new=_plain(two)))
    return tuple(found)


def _plain(value: Any) -> Any:
    """JSON-ready; a table that came or went is told by that alone."""
    if is_dataclass(value):
        return "set"
    return list(value) if isinstance(value, tuple) else value


def _top(setting: str) -> str:
    return setting.partition(".")[0]


def _shown(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
