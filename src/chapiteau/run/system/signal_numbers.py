"""Numbers of signals on this machine."""

import signal

from chapiteau.run.config.spec import Service

__all__ = ["signal_number", "stop_settings"]


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


def stop_settings(service: Service) -> list[float | bool]:
    """[signal, seconds of grace, whether to the whole group]: for a keeper without a brain."""
    return [signal_number(service.stop_signal), service.stop_timeout, service.stops_whole]
