"""The tables of systemd's units, and the rules that are special to them."""

from collections.abc import Sequence
from math import inf
from typing import Any, Final

from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.rules import fixed_restart_delay, put_limit, read_tables
from chapiteau.migrate.source import Option
from chapiteau.migrate.systemd.commands import parse_size, parse_timespan, split_words
from chapiteau.migrate.values import boolean, duration, integer, text

__all__ = ["TABLES", "fixed_restart_delay"]

_ONE_FILE: Final = "both streams go to one file; JSON lines (log.format) tell them apart"
_BYTES: Final = frozenset("as core data fsize memlock msgqueue rss stack".split())


def _timespan(value: Any) -> float:
    return parse_timespan(text(value))


def _finite(value: Any) -> str:
    seconds = _timespan(value)
    if seconds == inf:
        raise ValueError("infinity: set a long time instead")
    return duration(seconds)


def _burst(value: Any) -> int:
    return max(1, integer(value))


def _unit_size(value: Any) -> int:
    return parse_size(text(value))


def _cores(value: Any) -> float:
    share = text(value).strip()
    if not share.endswith("%"):
        raise ValueError(f"{share!r} is no share in %")
    return float(share[:-1]) / 100


# ── starting and stopping ─────────────────────────────────────────────────────────────────────
def _service_type(option: Option, target: Target, word: str) -> None:
    if word in ("simple", "exec", "idle"):
        target.kept(option, "it counts as up at once")
    elif word in ("notify", "notify-reload"):
        target.put(option, "ready.notify", True)
        if word == "notify-reload":
            target.set("reload_signal", "HUP")
    elif word == "oneshot":
        target.put(option, "one_shot", True)
    elif word == "forking":
        target.lost(
            option,
            "is for a program that puts itself into the background",
            "start it with its option for the foreground; Chapiteau keeps the process itself",
        )
    else:
        target.lost(option, f"{word} has no equal", "use a `ready` check")


def _restart(option: Option, target: Target, word: str) -> None:
    plain = {"no": "never", "always": "always", "on-failure": "on-failure"}
    if word in plain:
        target.put(option, "restart.policy", plain[word])
    elif word in ("on-abnormal", "on-abort", "on-watchdog"):
        target.set("restart.policy", "on-failure", option)
        target.changed(
            option,
            f"{word} became on-failure: an exit code that is no success restarts it too",
            "restart.stop_codes lists the codes after which it stays down",
        )
    elif word == "on-success":
        target.set("restart.policy", "never", option)
        target.lost(option, "restarted it only after a success", "use schedule, or always")
    else:
        raise ValueError(f"{word!r} is no policy")


def _start_limit_interval(option: Option, target: Target, value: float) -> None:
    if value == 0:
        target.set("restart.after_give_up", "retry")
        target.kept(option, "it is tried again for ever")
    else:
        target.put(option, "restart.window", _finite(option.value))


def _start_timeout(option: Option, target: Target, value: float) -> None:
    _patience(option, target, "ready.start_timeout", value)


def _stop_timeout(option: Option, target: Target, value: float) -> None:
    _patience(option, target, "stop_timeout", value)


def _patience(option: Option, target: Target, key: str, value: float) -> None:
    if value == inf:
        target.set(key, "1d", option)
        target.changed(option, "never ran out: it is a day here")
    else:
        target.put(option, key, duration(value))


def _success_codes(option: Option, target: Target, value: Any) -> None:
    _codes(option, target, "restart.success_codes", [0], value)


def _stop_codes(option: Option, target: Target, value: Any) -> None:
    _codes(option, target, "restart.stop_codes", [], value)


def _codes(option: Option, target: Target, key: str, first: Sequence[int], value: Any) -> None:
    words = split_words(text(value))
    codes = [integer(word) for word in words if word.isdecimal()]
    target.put(option, key, list(dict.fromkeys([*(target.get(key) or []), *first, *codes])))
    if others := [word for word in words if not word.isdecimal()]:
        target.lost(option, f"named signals or words too: {' '.join(others)}", f"see {key}")


def _kill_mode(option: Option, target: Target, word: str) -> None:
    if word == "control-group":
        target.kept(option, "stop_group: the stop signal to all, then KILL to what is left")
        return
    target.values.pop("stop_group", None)
    if word == "mixed":
        target.kept(option, "exactly so: the stop signal to the process, then KILL to the rest")
    else:
        target.lost(option, f"{word} let processes live on", "nothing of a service survives a stop")


def _notify_access(option: Option, target: Target, _value: Any) -> None:
    target.changed(option, "any process of the service may notify")


# ── files, streams and limits ─────────────────────────────────────────────────────────────────
def _working_directory(option: Option, target: Target, value: Any) -> None:
    path = text(value).strip()
    if path.startswith("-"):
        path = path[1:]
        target.changed(option, "must be there: without it the service does not start")
    if path == "~":
        target.lost(option, "was the user's home", "write the path as cwd")
    else:
        target.put(option, "cwd", literal(path))


def _fd_store_preserve(option: Option, target: Target, word: str) -> None:
    if word == "restart":
        target.kept(option, "descriptors are kept from one process to the next, until a stop")
    else:
        when = "beyond a stop" if boolean(word) else "for no other process"
        target.lost(option, f"kept descriptors {when}", "fd_store keeps them until a stop")


def _standard_input(option: Option, target: Target, value: Any) -> None:
    word = text(value).strip()
    if word in ("null", ""):
        target.kept(option, "the input is empty")
    elif word.startswith("tty"):
        target.put(option, "stdin", "tty")
        target.changed(option, "is a terminal of its own: `chapiteau run attach` shows it")
    else:
        hint = 'stdin = "pipe" is for `chapiteau run attach`, stdin_socket hands a socket over'
        target.lost(option, "was another input", hint)


def _standard_output(option: Option, target: Target, value: Any) -> None:
    kind, _, path = text(value).strip().partition(":")
    if kind in ("file", "append", "truncate") and path:
        target.put(option, "log.file", literal(path))
        if kind != "append":
            target.changed(option, "lines are added to the file, which is rotated")
    elif kind == "null":
        target.put(option, "log.file", "none")
    elif kind.startswith("journal"):
        target.put(option, "log.journald", True)
    elif kind.startswith("syslog"):
        target.put(option, "log.syslog", "/dev/log")
    elif kind == "inherit":
        target.kept(option, "output goes where [log] says")
    else:
        target.lost(option, f"sent output to {kind}", "see [service.NAME.log]")


def _standard_error(option: Option, target: Target, value: Any) -> None:
    if text(value).strip() in ("inherit", "journal"):
        target.kept(option, "both streams go the same way")
    else:
        target.lost(option, "sent errors another way", _ONE_FILE)


def _limit(option: Option, target: Target, value: Any) -> None:
    """LimitX=soft:hard, or one value for both."""
    name = option.name.lower().removeprefix("limit")
    both = [_amount(name, part.strip()) for part in text(value).split(":")]
    put_limit(option, target, name, both[0], ":".join(map(str, both)) if len(both) > 1 else "")


def _amount(name: str, given: str) -> int | str:
    if given == "infinity":
        return "unlimited"
    if name in _BYTES:
        return parse_size(given)
    if name == "cpu":  # seconds, or a time span
        return round(parse_timespan(given))
    if name == "nice" and given[:1] in "+-":  # a niceness; the limit counts from its other end
        return 20 - int(given)
    return integer(given)


def _tasks_max(option: Option, target: Target, value: Any) -> None:
    if text(value).strip() == "infinity":
        target.kept(option, "there is no limit")
    else:
        target.put(option, "limits.pids", integer(value))


def _socket_owner(option: Option, target: Target, value: str) -> None:
    user, _, group = (target.get("owner") or "").partition(":")
    user, group = (value, group) if option.name == "SocketUser" else (user, value)
    target.put(option, "owner", f"{user or 'root'}:{group}" if group else user)


TABLES: Final = read_tables("chapiteau.migrate.systemd", globals())
