"""What a far machine's clock reads when ours reads something."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Offset", "Probe", "offset"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question for the time: our clock before and after, theirs between. Seconds."""

    sent: float
    theirs: float
    received: float


@dataclass(frozen=True, slots=True)
class Offset:
    """Theirs minus ours in seconds; the truth lies within ± `error` of it."""

    value: float
    error: float


def offset(probes: Sequence[Probe]) -> Offset:
    """The offset by the fastest answer, which waited least on its way (NTP, RFC 5905 §10)."""
    best = min(probes, key=lambda probe: probe.received - probe.sent)
    middle = (best.sent + best.received) / 2
    return Offset(best.theirs - middle, (best.received - best.sent) / 2)
