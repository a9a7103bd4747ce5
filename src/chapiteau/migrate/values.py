"""Values as other tools write them: yes and no, times, sizes, signals, lists of NAME=value."""

import re
import shlex
from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "READERS",
    "boolean",
    "byte_size",
    "duration",
    "exec_line",
    "go_duration",
    "integer",
    "milliseconds",
    "needs_shell",
    "number",
    "octal",
    "one_line",
    "port_number",
    "seconds",
    "signal_name",
    "size_text",
    "text",
    "words",
]

_TRUE: Final = frozenset({"yes", "true", "on", "1", "y", "t"})
_FALSE: Final = frozenset({"no", "false", "off", "0", "n", "f"})
# The numbers of Linux on x86 and ARM: the same on every machine that Chapiteau runs on.
_SIGNALS: Final = dict(
    enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT "
        "STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        start=1,
    )
)
_REAL_TIME: Final = re.compile(r"RTM(?:IN(?:\+\d+)?|AX(?:-\d+)?)")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtpe]?)(?:i?b)?", re.IGNORECASE)
_ONE_COMMAND: Final = re.compile(
    r"(?P<sets>(?:\w+=[^\s'\"`;|&<>()\\]*\s+)+)?(?P<rest>[^;|&<>()`\n\\]+)"
)
_SHELL_WORDS: Final = frozenset(
    ". : [ cd exec exit export eval if for set source test time trap while until case {".split()
)
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_GO_PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GO_SECONDS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip


def text(value: Any) -> str:
    """The value as text. Raises ValueError for lists and mappings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value  # one that is marked as being in our terms stays so
    if isinstance(value, int | float):
        return str(value)
    raise ValueError(f"{value!r} is not a plain value")


def boolean(value: Any) -> bool:
    """True for yes, true, on, 1; False for their opposites; ValueError for anything else."""
    word = text(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{value!r} is neither yes nor no")


def integer(value: Any) -> int:
    """A whole number. Raises ValueError."""
    try:
        return int(text(value).strip())
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None


def port_number(value: Any) -> int:
    """A port, 0 to 65535. Raises ValueError."""
    found = integer(value)
    if not 0 <= found <= 65535:
        raise ValueError(f"{value!r} is no port")
    return found


def number(value: Any) -> float:
    """A finite number. Raises ValueError."""
    try:
        found = float(text(value).strip())
    except ValueError:
        found = float("nan")
    if found != found or found in (float("inf"), float("-inf")):
        raise ValueError(f"{value!r} is not a number")
    return found


def octal(value: Any) -> str:
    """Rights as Chapiteau writes them: four octal digits or three. Raises ValueError."""
    bits = int(text(value).strip(), 8)
    if not 0 <= bits <= 0o7777:
        raise ValueError(f"{value!r} are no file rights")
    return f"{bits:04o}"


def duration(value: float) -> str:
    """Seconds as people write them, losing nothing: 90 → "90s", 0.25 → "250ms", 3600 → "1h"."""
    if value < 0:
        raise ValueError(f"{value:g} seconds is negative")
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if value >= length and value % length == 0 and (unit != "m" or value >= 120):
            return f"{value / length:.0f}{unit}"
    if value and value < 1:
        return f"{_plain(value * 1000)}ms"
    return f"{_plain(value)}s"


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def seconds(value: Any) -> str:
    """A number of seconds as a duration. Raises ValueError."""
    return duration(number(value))


def milliseconds(value: Any) -> str:
    """A number of milliseconds as a duration. Raises ValueError."""
    return duration(number(value) / 1000)


def go_duration(value: Any) -> str:
    """A time as Go writes it ("1m30s", "1.5h") as a duration. Raises ValueError."""
    compact = text(value).strip()
    parts = _GO_PART.findall(compact)
    if not parts or "".join(n + u for n, u in parts) != compact:
        raise ValueError(f"{value!r} is not a time")
    return duration(sum(float(n) * _GO_SECONDS[u] for n, u in parts))


def byte_size(value: Any) -> int:
    """Bytes in "50MB", "64K", "1.5G" or a number; units are powers of 1024, in any case."""
    match = _SIZE.fullmatch(text(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size")
    power = " kmgtpe".index(match[2].lower()) if match[2] else 0
    return round(float(match[1]) * (1 << 10 * power))


def size_text(value: Any) -> str | int:
    """A size as Chapiteau writes it: "50MiB" where that is exact, else the number of bytes."""
    count = byte_size(value)
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= length and count % length == 0:
            return f"{count // length}{unit}"
    return count


def signal_name(value: Any) -> str:
    """A signal's name without SIG, from a name or number. Raises ValueError."""
    word = text(value).strip().upper()
    if word.isdecimal() and len(word) < 4:
        found = _SIGNALS.get(int(word))
        if found is None:
            raise ValueError(f"there is no signal {word}")
        return found
    name = word.removeprefix("SIG")
    if name in _SIGNALS.values() or _REAL_TIME.fullmatch(name):
        return name
    raise ValueError(f"there is no signal {value!r}")


def words(value: str) -> list[str]:
    """A command line split as a shell would. Raises ValueError (an open quote)."""
    try:
        return shlex.split(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} can't be split into words: {exc}") from None


def one_line(command: str) -> str:
    """A command that goes over several lines as one, unless a line break stands inside quotes.

    Raises ValueError (an open quote).
    """
    flat = " ".join(part.strip() for part in command.splitlines())
    return flat if words(flat) == words(command) else command


def needs_shell(command: str) -> bool:
    """Whether only a shell understands the first word: a word of its own, or NAME=value."""
    first = (command.split() or [""])[0]
    return first in _SHELL_WORDS or _ASSIGNMENT.match(first) is not None


def exec_line(command: str) -> str:
    """A line for /bin/sh in which the program takes the shell's place, where that is possible.

    Signals then reach the program itself. A line with more than one command is left as it is.
    """
    match = _ONE_COMMAND.fullmatch(command)
    if match is None or needs_shell(match["rest"]):
        return command
    return f"{match['sets'] or ''}exec {match['rest']}"


def _integers(value: Any) -> list[int]:
    """Whole numbers of a list, or of a text that has commas between them. Raises ValueError."""
    parts = value if isinstance(value, list) else text(value).split(",")
    return [integer(part) for part in parts if str(part).strip()]


# How tables of keys name them.
READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "boolean": boolean,
    "inverse": lambda value: not boolean(value),
    "bytes": byte_size,
    "go_duration": go_duration,
    "integer": integer,
    "integers": _integers,
    "milliseconds": milliseconds,
    "number": number,
    "octal": octal,
    "port": port_number,
    "seconds": seconds,
    "signal": signal_name,
    "size": size_text,
    "text": text,
    "word": lambda value: text(value).strip().lower(),
}
