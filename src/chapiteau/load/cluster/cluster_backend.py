"""What a way to reach other machines has to offer: five calls, whatever carries them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from chapiteau.load.workers.messages import Order, Report

__all__ = ["ClockOffset", "ClockProbe", "ClusterBackend", "estimate_offset"]


class ClusterBackend(Protocol):
    """Machines with a relay on each (`relay.py`): orders go there, reports come back.

    A host that is lost is reported as Lost, once; it is never replaced, and nothing is ever done
    twice.
    """

    async def hosts(self) -> Sequence[str]:
        """Who is there, by name, in a fixed order. Raises ChapiteauError when nobody is."""
        ...

    async def launch(self, host: str, order: Order) -> None:
        """Give a host's relay an order; the relay starts with the first one."""
        ...

    def events(self) -> AsyncIterator[tuple[str, Report]]:
        """Every relay's reports, each with its host."""
        ...

    async def stop(self, turn: int) -> None:
        """End that step, the one of the last `go`, on every host, at once."""
        ...

    async def close(self) -> None:
        """End every relay and let go of the machines."""
        ...


# What a far machine's clock reads when ours reads something.


@dataclass(frozen=True, slots=True)
class ClockProbe:
    """One question for the time: our clock before and after, theirs between. Seconds."""

    sent: float
    theirs: float
    received: float


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Theirs minus ours in seconds; the truth lies within ± `error` of it."""

    value: float
    error: float


def estimate_offset(probes: Sequence[ClockProbe]) -> ClockOffset:
    """The offset by the fastest answer, which waited least on its way (NTP, RFC 5905 §10)."""
    best = min(probes, key=lambda probe: probe.received - probe.sent)
    middle = (best.sent + best.received) / 2
    return ClockOffset(best.theirs - middle, (best.received - best.sent) / 2)
