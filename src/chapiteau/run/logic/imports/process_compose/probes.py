"""readiness_probe, ready_log_line and liveness_probe → ready and live."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

from chapiteau.run.logic.imports.draft import Ours, Target, literal
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import (
    duration,
    integer,
    needs_shell,
    seconds,
    text,
)
from chapiteau.run.logic.imports.rules import (
    Rule,
    apply,
    attempt,
    for_each,
    keep,
    lose,
    lose_if,
    same,
)

__all__ = ["EXEC", "HTTP", "PROBE", "SIMPLE", "take_log_line", "take_probe"]

# Nothing for a shell to do.
SIMPLE: Final = re.compile(r"(?:[\w@%+=:,./ \t{}-]|\$\{[\w.]+\})+")
Parts = Callable[[Option], list[Option]]

PROBE: Final[dict[str, Rule]] = {
    **for_each("exec http_get", same("the kind of check")),
    "period_seconds": keep("interval", seconds),
    "timeout_seconds": keep("timeout", seconds),
    "failure_threshold": keep("failures", integer),
    "success_threshold": same("process-compose does not honour it either"),
    "initial_delay_seconds": lose_if(
        integer,
        "waited before the first probe",
        "nothing is lost by asking early: `live` starts when the process is ready",
        "no wait",
    ),
    "grpc": lose("asked by gRPC", "write a command that asks, and use exec"),
}
HTTP: Final[dict[str, Rule]] = {
    **for_each("host scheme port num_port path", same("the URL")),
    "headers": lose("sent headers", "use exec with curl -H"),
    "status_code": lose_if(
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
    target.put(option, "exec", Ours(line if plain else shlex.join(["bash", "-c", line])))


EXEC: Final[dict[str, Rule]] = {
    "command": _command,
    "working_dir": lose("was the folder of the command", "write the whole path into the command"),
}


def take_probe(target: Target, key: str, option: Option, parts: Parts) -> None:
    """One probe; `key` is `ready` or `live`, `parts` gives the options of a mapping."""
    inner = Target(target.draft, (*target.path, key), target.values.setdefault(key, {}))
    options = parts(option)
    found = {o.name: o for o in options}
    apply(options, PROBE, inner)
    for name, rules in (("http_get", HTTP), ("exec", EXEC)):
        if name in found:
            apply(parts(found[name]), rules, inner)
    if "http_get" in found and isinstance(found["http_get"].value, Mapping):
        address = {o.name: o.value for o in parts(found["http_get"])}
        attempt(option, inner, lambda: inner.set("http", _url(address), option))
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


def take_log_line(target: Target, option: Option) -> None:
    """ready_log_line: a line that contains this text."""
    if target.get("ready"):
        target.lost(option, "is a second check beside the probe", "a service has one `ready` check")
        return
    attempt(option, target, lambda: target.put(option, "ready.log", _escaped(text(option.value))))


def _escaped(line: str) -> str:
    return re.escape(line).replace("\\ ", " ")
