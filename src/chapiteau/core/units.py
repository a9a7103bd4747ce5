"""Durations, sizes and rates as people write them: "1m30s", "64MiB", "200/s"."""

import math
import re
from typing import Final

__all__ = [
    "BYTE_RATE_PATTERN",
    "DURATION_PATTERN",
    "RATE_PATTERN",
    "SIZE_PATTERN",
    "format_duration",
    "format_size",
    "parse_byte_rate",
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
_NUMBER: Final = r"([0-9]{1,18}(?:\.[0-9]{1,18})?)"
_DURATION_PART: Final = re.compile(_NUMBER + r"\s*(us|µs|ms|min|[smhdw])\s*")
_DURATION: Final = re.compile(f"(?:{_DURATION_PART.pattern})+")
_SIZE: Final = re.compile(_NUMBER + r"\s*([KMGTk]?(?:iB|B)?)")
_RATE: Final = re.compile(_NUMBER + r"\s*/\s*([0-9]{0,9})\s*(s|min|m|h|d)")

# What is a duration, a size, a rate as text: for JSON Schema (ECMA 262).
DURATION_PATTERN: Final = rf"^\s*(?:{_DURATION_PART.pattern})+$"
_UNITS: Final = "|".join(sorted(filter(None, _BYTES), key=len, reverse=True))
SIZE_PATTERN: Final = rf"^\s*{_NUMBER}\s*(?:{_UNITS})?\s*$"
BYTE_RATE_PATTERN: Final = rf"^\s*{_NUMBER}\s*(?:{_UNITS})?\s*(?:/s)?\s*$"
RATE_PATTERN: Final = rf"^\s*{_RATE.pattern}\s*$"


def parse_duration(text: str | float) -> float:
    """Seconds in "90s", "1m30s", "250ms", or a bare number of seconds.

    Raises ValueError, with an example, for anything else.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _not_negative(float(text), text)
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip()):
        raise ValueError(f'{text!r} is not a duration; write for example "90s" or "1m30s"')
    return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text))


def parse_size(text: str | int) -> int:
    """Bytes in "64MiB", "10kB", "512K", or a bare number of bytes.

    K, M, G and T alone are powers of 1024, as in most tools. Raises ValueError otherwise.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return int(_not_negative(text, text))
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in _BYTES:
        raise ValueError(f'{text!r} is not a size; write for example "64MiB"')
    if "." not in match[1]:  # whole numbers stay exact, however large
        return int(match[1]) * _BYTES[match[2]]
    return round(float(match[1]) * _BYTES[match[2]])


def parse_rate(text: str | float) -> float:
    """Events per second in "200/s", "30/min", "5/10s", or a bare number per second.

    Raises ValueError otherwise.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _not_negative(float(text), text)
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or (match[2] and not int(match[2])):
        raise ValueError(f'{text!r} is not a rate; write for example "200/s" or "30/min"')
    return float(match[1]) / (int(match[2] or 1) * _PER[match[3]])


def parse_byte_rate(text: str | int) -> int:
    """Bytes per second in "20KiB/s", "1MB", or a bare number. Raises ValueError otherwise."""
    try:
        return parse_size(text.strip().removesuffix("/s") if isinstance(text, str) else text)
    except ValueError:
        raise ValueError(f'{text!r} is not a size per second; write for example "1MB/s"') from None


def format_duration(seconds: float) -> str:
    """A duration in its two largest units: 90.0 → "1m30s", 0.25 → "250ms"; "–" for no number."""
    if not math.isfinite(seconds):
        return "–" if math.isnan(seconds) else ("∞" if seconds > 0 else "-∞")
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 0.9995:
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
    value, unit = (seconds * 1e6, "us") if seconds < 0.0009995 else (seconds * 1e3, "ms")
    places = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if places else text
    return "0s" if text == "0" else text + unit


def format_size(count: float) -> str:
    """Bytes in binary units with at most one decimal: 1536 → "1.5KiB"; "–" for no number."""
    value = float(count)
    if not math.isfinite(value):
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1023.95:
            return f"{value:.1f}".removesuffix(".0") + unit
        value /= 1024
    return f"{value:.1f}".removesuffix(".0") + "TiB"


def _not_negative(value: float, shown: object) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{shown!r} is no finite number")
    if value < 0:
        raise ValueError(f"{shown!r} is negative")
    return value
