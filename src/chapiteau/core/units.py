"""Durations, sizes and rates as people write them: "1m30s", "64MiB", "200/s"."""

import re
from typing import Final

__all__ = [
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_rate",
    "parse_size",
]

_SECONDS: Final = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_BYTES: Final = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "K": 2**10,
    "M": 2**20,
    "G": 2**30,
    "T": 2**40,
}
_PER: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|min|[smhdw])")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTk]?(?:iB|B)?)")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d*)\s*(s|min|m|h|d)")


def parse_duration(text: str | float) -> float:
    """Seconds in "90s", "1m30s", "250ms", or a bare number of seconds.

    Raises ValueError, with an example, for anything else.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _not_negative(float(text), text)
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a duration; write for example "90s" or "1m30s"')
    compact = text.replace(" ", "")
    parts = _DURATION_PART.findall(compact)
    if not parts or "".join(n + u for n, u in parts) != compact:
        raise ValueError(f'{text!r} is not a duration; write for example "90s" or "1m30s"')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_size(text: str | int) -> int:
    """Bytes in "64MiB", "10kB", "512K", or a bare number of bytes.

    K, M, G and T alone are powers of 1024, as in most tools. Raises ValueError otherwise.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return int(_not_negative(text, text))
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in _BYTES:
        raise ValueError(f'{text!r} is not a size; write for example "64MiB"')
    return round(float(match[1]) * _BYTES[match[2]])


def parse_rate(text: str | float) -> float:
    """Events per second in "200/s", "30/min", "5/10s", or a bare number per second.

    Raises ValueError otherwise.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _not_negative(float(text), text)
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] == "0":
        raise ValueError(f'{text!r} is not a rate; write for example "200/s" or "30/min"')
    return float(match[1]) / (int(match[2] or 1) * _PER[match[3]])


def format_duration(seconds: float) -> str:
    """A duration in the largest units that fit: 90.0 → "1m30s", 0.25 → "250ms"."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return _small(seconds)
    whole = round(seconds)
    if seconds < 60 and abs(seconds - whole) > 0.005:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    pieces = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            pieces.append(f"{count}{unit}")
    return "".join(pieces[:2]) or "0s"


def _small(seconds: float) -> str:
    if seconds == 0:
        return "0s"
    if seconds < 0.001:
        return f"{seconds * 1e6:.3g}us"
    return f"{seconds * 1e3:.3g}ms"


def format_size(count: float) -> str:
    """Bytes in binary units with at most one decimal: 1536 → "1.5KiB"."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.1f}".rstrip("0").rstrip(".") + unit
        value /= 1024
    return f"{value:.1f}".rstrip("0").rstrip(".") + "TiB"


def _not_negative(value: float, shown: object) -> float:
    if value < 0 or value != value:
        raise ValueError(f"{shown!r} is negative")
    return value
