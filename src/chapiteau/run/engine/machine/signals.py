"""Numbers of signals on this machine."""

import signal

__all__ = ["signal_number"]


def signal_number(name: str) -> int:
    """15 for "TERM", "SIGTERM" or "15"; RTMIN+n and RTMAX-n too. Raises ValueError."""
    text = name.strip().upper().removeprefix("SIG")
    if text.isdigit():
        return int(text)
    base, _, more = text.replace("-", "+-").partition("+")
    try:
        return int(signal.Signals[f"SIG{base}"]) + int(more or 0)
    except (KeyError, ValueError):
        raise ValueError(f"{name!r} is not a signal") from None
