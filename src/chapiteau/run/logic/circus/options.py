"""A service's settings under the names that Circus has for them."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.run.logic.rules.names import signal_name

__all__ = ["settings_of", "watcher_options"]

# Circus's option → our setting, for `set`.
_SETTINGS: Final = {
    "cmd": "command",
    "graceful_timeout": "stop_timeout",
    "gid": "group",
    "max_age": "max_age",
    "max_age_variance": "max_age_spread",
    "max_retry": "restart.attempts",
    "numprocesses": "processes",
    "on_demand": "on_demand",
    "shell": "shell",
    "stop_children": "stop_group",
    "stop_signal": "stop_signal",
    "uid": "user",
    "working_dir": "cwd",
}
_FLAGS: Final[dict[str, tuple[str, Any, Any]]] = {  # setting, when true, when false
    "copy_env": ("clean_env", False, True),
    "respawn": ("restart.policy", "always", "never"),
    "send_hup": ("reload_signal", "HUP", ""),
}
_SECONDS: Final = frozenset({"graceful_timeout", "max_age", "max_age_variance"})
_TEXTS: Final = frozenset({"stop_signal", "uid", "gid"})
_TRUE: Final = frozenset({True, "1", "true", "True", "yes", "on"})


def watcher_options(
    service: Mapping[str, Any], *, wanted: int, folder: str, signals: Mapping[str, int]
) -> dict[str, Any]:
    """Every option that `circusctl options` shows; what Circus can't say is left out.

    `service` is its running configuration; variables that are secrets are left out.
    """
    command = service.get("command") or f"chapiteau app {service.get('app', '')}"
    restart = service.get("restart") or {}
    env = {k: v for k, v in (service.get("env") or {}).items() if isinstance(v, str)}
    return {
        "args": "",
        "autostart": service.get("autostart", True),
        "close_child_stderr": False,
        "close_child_stdin": True,
        "close_child_stdout": False,
        "cmd": command if isinstance(command, str) else shlex.join(command),
        "copy_env": not service.get("clean_env", False),
        "env": env,
        "executable": None,
        "gid": service.get("group") or None,
        "graceful_timeout": service.get("stop_timeout", 10.0),
        "max_age": int(service.get("max_age", 0)),
        "max_age_variance": int(service.get("max_age_spread", 0)),
        "max_retry": restart.get("attempts", 10),
        "numprocesses": wanted,
        "on_demand": service.get("on_demand", False),
        "priority": 0,
        "respawn": restart.get("policy", "always") != "never" and not service.get("one_shot"),
        "send_hup": service.get("reload_signal") == "HUP",
        "shell": service.get("shell", False),
        "shell_args": None,
        "singleton": service.get("one_shot", False),
        "stderr_stream_conf": {},
        "stdout_stream_conf": {},
        "stop_children": service.get("stop_group", False),
        "stop_signal": _number(str(service.get("stop_signal") or "TERM"), signals),
        "uid": service.get("user") or None,
        "use_sockets": bool(service.get("sockets")),
        "warmup_delay": 0,
        "working_dir": f"{folder}/{service.get('cwd', '')}".rstrip("/"),
    }


def _number(written: str, signals: Mapping[str, int]) -> int:
    """A signal's number; in the file it may stand as a number, too."""
    name = signal_name(written)
    return int(name) if name.isdigit() else signals.get(f"SIG{name}", 15)


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings for what `circusctl set` gives. Raises ValueError where there is none."""
    made: dict[str, Any] = {}
    for key, value in options.items():
        if key == "env" and isinstance(value, Mapping):
            made |= {f"env.{name}": str(text) for name, text in value.items()}
        elif key in _FLAGS:
            setting, yes, no = _FLAGS[key]
            made[setting] = yes if value in _TRUE else no
        elif key in _SETTINGS:
            made[_SETTINGS[key]] = _value(key, value)
        else:
            raise ValueError(f"{key!r} has no counterpart to set at run time")
    return made


def _value(key: str, value: Any) -> Any:
    if key in _SECONDS:
        return f"{float(value):g}s"
    if key in _TEXTS:
        return str(value)
    if key in ("shell", "on_demand", "stop_children"):
        return value in _TRUE
    return int(value) if key in ("max_retry", "numprocesses") else value
