"""readiness_probe, ready_log_line and liveness_probe → ready and live."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from chapiteau.migrate.draft import Target, Template, literal
from chapiteau.migrate.rules import (
    Rule,
    apply_rules,
    described,
    for_each,
    keep,
    lost,
    lost_if,
    try_rule,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import (
    boolean,
    duration,
    go_duration,
    integer,
    needs_shell,
    seconds,
    text,
)

__all__ = [
    "EXEC",
    "HTTP",
    "PROBE",
    "SIMPLE",
    "WATCH",
    "convert_log_line",
    "convert_probe",
    "convert_watch",
]

# Nothing for a shell to do.
SIMPLE: Final = re.compile(r"(?:[\w@%+=:,./ \t{}-]|\$\{[\w.]+\})+")
Parts = Callable[[Option], list[Option]]

PROBE: Final[dict[str, Rule]] = {
    **for_each("exec http_get", unneeded("the kind of check")),
    "period_seconds": keep("interval", seconds),
    "timeout_seconds": keep("timeout", seconds),
    "failure_threshold": keep("failures", integer),
    "success_threshold": unneeded("process-compose does not honour it either"),
    "initial_delay_seconds": lost_if(
        integer,
        "waited before the first probe",
        "nothing is lost by asking early: `live` starts when the process is ready",
        "no wait",
    ),
    "grpc": lost("asked by gRPC", "write a command that asks, and use exec"),
}
HTTP: Final[dict[str, Rule]] = {
    **for_each("host scheme port num_port path", unneeded("the URL")),
    "headers": lost("sent headers", "use exec with curl -H"),
    "status_code": lost_if(
        lambda value: integer(value) != 200,
        "wanted this status",
        "200 to 399 passes; use exec with curl for another",
        "200 to 399 passes",
    ),
}


def _command(option: Option, target: Target) -> None:
    """`exec`, through a shell where it needs one"""
    line = literal(text(option.value)).strip()
    plain = SIMPLE.fullmatch(line) and not needs_shell(line)
    target.put(option, "exec", Template(line if plain else shlex.join(["bash", "-c", line])))


EXEC: Final[dict[str, Rule]] = {
    "command": _command,
    "working_dir": lost("was the folder of the command", "write the whole path into the command"),
}


def convert_probe(target: Target, key: str, option: Option, parts: Parts) -> None:
    """One probe; `key` is `ready` or `live`, `parts` gives the options of a mapping."""
    inner = Target(target.draft, (*target.path, key), target.values.setdefault(key, {}))
    options = parts(option)
    found = {o.name: o for o in options}
    apply_rules(options, PROBE, inner)
    for name, rules in (("http_get", HTTP), ("exec", EXEC)):
        if name in found:
            apply_rules(parts(found[name]), rules, inner)
    if "http_get" in found and isinstance(found["http_get"].value, Mapping):
        address = {o.name: o.value for o in parts(found["http_get"])}
        try_rule(option, inner, lambda: inner.set("http", _url(address), option))
        inner.values.pop("exec", None)
    if not inner.get("http") and not inner.get("exec"):
        del target.values[key]
        target.lost(option, "asks neither by HTTP nor by a command", "set it by hand")
        return
    # process-compose's defaults
    inner.values.setdefault("interval", "10s")
    inner.values.setdefault("timeout", "1s")
    if key == "ready":
        inner.set("start_timeout", _patience(found))


def _url(value: Mapping[str, Any]) -> str:
    def part(name: str, default: str) -> str:
        return text(value.get(name) or "").strip() or default

    port = part("port", part("num_port", ""))
    path = part("path", "/")
    address = f"{part('host', '127.0.0.1')}{f':{port}' if port else ''}"
    return f"{part('scheme', 'http')}://{address}{path if path.startswith('/') else f'/{path}'}"


def _patience(found: Mapping[str, Option]) -> str:
    """process-compose gives up after the delay and so many failures: the same as one time."""

    def of(name: str, default: int) -> int:
        try:
            return max(0, integer(found[name].value)) if name in found else default
        except ValueError:
            return default

    period = of("period_seconds", 10) or 10
    return duration(of("initial_delay_seconds", 0) + period * (of("failure_threshold", 3) or 3))


def convert_log_line(target: Target, option: Option) -> None:
    """ready_log_line: a line that contains this text."""
    if target.get("ready"):
        target.lost(option, "is a second check beside the probe", "a service has one `ready` check")
        return
    try_rule(option, target, lambda: target.put(option, "ready.log", _escaped(text(option.value))))


def _escaped(line: str) -> str:
    return re.escape(line).replace("\\ ", " ")


# `watch` of a process-compose process → watch of a service.

# What process-compose skips by itself; `.*` stands for .git, .venv and their like.
_SKIPPED: Final = (
    ".* node_modules vendor target dist build bin venv __pycache__ result *.log *.log.gz".split()
)


def _paths(option: Option, target: Target) -> None:
    """`watch.paths`, and `include` and `exclude` of each as those of all"""
    given = option.value if isinstance(option.value, list) else [option.value]
    entries = [one if isinstance(one, Mapping) else {"path": one} for one in given]
    target.put(option, "watch.paths", [literal(text(one.get("path") or ".")) for one in entries])
    for key in ("include", "exclude"):
        own_ones = [_listed(one.get(key)) for one in entries]
        _patterns(option, target, key, [p for part in own_ones for p in part])
        if len(entries) > 1 and any(part != own_ones[0] for part in own_ones):
            target.changed(option, f"{key} of one path holds for all of them now")
    for key in {key for one in entries for key in one} - {"path", "include", "exclude"}:
        target.lost(option, f"{key} is no option that is known here", "delete it")


def _listed(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [] if value is None else [value]
    return [text(part) for part in parts]


def _patterns(option: Option, target: Target, key: str, given: Iterable[str]) -> None:
    names: list[str] = []
    for pattern in given:
        name = pattern.removeprefix("**/").removesuffix("/**").strip("/")
        if "/" in name:
            target.lost(option, f"{key} {pattern}: patterns are names here, anywhere below")
        else:
            names.append(literal(name))
    if names:
        target.set(f"watch.{key}", [*(target.get(f"watch.{key}") or ()), *dict.fromkeys(names)])


def _every(key: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        _patterns(option, target, key, _listed(option.value))
        target.kept(option, f"watch.{key}")

    return described(f"`watch.{key}`: names, anywhere below", rule)


WATCH: Final[dict[str, Rule]] = {
    "paths": _paths,
    "debounce": keep("watch.debounce", go_duration),
    **for_each("ignore exclude", _every("exclude")),
    "include": _every("include"),
    "disable_default_excludes": unneeded("watch.exclude is without what process-compose skips"),
    "cascade": lost("restarted what depends on it too", "reload those by hand"),
    **for_each("max_entries buffer_size", unneeded("there is no such limit")),
}


def convert_watch(target: Target, options: list[Option]) -> None:
    """The options of one `watch`, and what process-compose skips without being told."""
    apply_rules(options, WATCH, target)
    if not target.get("watch.paths"):
        target.values.pop("watch", None)
        return
    if not target.get("watch.include"):
        target.set("watch.include", ["*"])
    bare = next((o for o in options if o.name == "disable_default_excludes"), None)
    skipped = [] if bare is not None and _on(bare) else _SKIPPED
    found = [*skipped, *(target.get("watch.exclude") or ())]
    target.set("watch.exclude", list(dict.fromkeys(found)))


def _on(option: Option) -> bool:
    try:
        return boolean(option.value)
    except ValueError:
        return False  # reported by its rule
