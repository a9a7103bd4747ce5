"""Models of a service: when does an answer to a request leave that comes now?

Each is told of the requests in the order of their arrival and answers with the moment of
departure, in seconds of any clock. The same models stand behind the real Target and behind
simulated runs, so that both have the same truth.
"""

import heapq
import math
import random
from collections.abc import Mapping
from typing import Any, Final, Protocol

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import did_you_mean

__all__ = [
    "Leaking",
    "Metastable",
    "Model",
    "Queue",
    "Scaling",
    "Stalling",
    "mmc_capacity",
    "model_of",
]


class Model(Protocol):
    """A service, as a queue sees it."""

    def admit(self, now: float) -> float:
        """The moment at which the answer to a request that comes now is ready."""
        ...


class Queue:
    """M/M/c: requests wait in line for one of `servers`, service times are exponential.

    With `fixed` every service takes exactly `mean` seconds.
    """

    def __init__(
        self, mean: float, servers: int = 1, *, seed: int | str = 1, fixed: bool = False
    ) -> None:
        self.mean = mean
        self._chance = random.Random(f"queue {seed}")  # noqa: S311 — repeatable, not secret
        self._fixed = fixed
        self._free = [0.0] * servers

    def admit(self, now: float, mean: float | None = None) -> float:
        """First come, first served; `mean` is the service's from now on."""
        self.mean = self.mean if mean is None else mean
        start = max(now, self._free[0])
        end = start + (self.mean if self._fixed else self._chance.expovariate(1 / self.mean))
        heapq.heapreplace(self._free, end)
        return end


class Scaling:
    """The Universal Scalability Law: with N requests inside, each takes
    mean · (1 + contention·(N-1) + coherency·N·(N-1)) (N. J. Gunther, 2007)."""

    def __init__(self, mean: float, contention: float, coherency: float) -> None:
        self.mean = mean
        self.contention = contention
        self.coherency = coherency
        self._inside: list[float] = []

    def admit(self, now: float) -> float:
        """All at once, ever slower."""
        while self._inside and self._inside[0] <= now:
            heapq.heappop(self._inside)
        n = len(self._inside) + 1
        end = now + self.mean * (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))
        heapq.heappush(self._inside, end)
        return end


class Leaking:
    """A queue whose service gets slower with every request by this share of its mean."""

    def __init__(self, mean: float, leak: float, *, seed: int | str = 1) -> None:
        self._queue = Queue(mean, seed=seed)
        self._fresh = mean
        self._leak = leak
        self._served = 0

    @property
    def mean(self) -> float:
        """What a service takes by now."""
        return self._queue.mean

    def admit(self, now: float) -> float:
        """As a queue, a little slower than the last."""
        self._served += 1
        return self._queue.admit(now, self._fresh * (1 + self._leak * self._served))


class Stalling:
    """Answers after `mean` seconds, but stands still for `length` seconds in every `every`.

    With `line`, requests wait in line as in an M/M/1, which stands still, too.
    """

    def __init__(
        self, mean: float, every: float, length: float, *, line: bool = False, seed: int | str = 1
    ) -> None:
        self.mean = mean
        self._every = every
        self._length = length
        self._zero: float | None = None
        self._line = line
        self._chance = random.Random(f"stalling {seed}")  # noqa: S311 — repeatable, not secret
        self._free = 0.0

    def admit(self, now: float) -> float:
        """At once, or at the end of the stall."""
        if self._zero is None:
            self._zero = now
        if not self._line:
            return self._moved(now + self.mean)
        start = max(now, self._free)
        self._free = self._moved(start + self._chance.expovariate(1 / self.mean), start)
        return self._free

    def _moved(self, end: float, start: float | None = None) -> float:
        """The end of work, moved by the stalls between its start and then."""
        zero = self._zero or 0.0
        if start is not None:
            # All of a stall that lies before the end is time in which nothing was done.
            stall = (math.floor((start - zero) / self._every) + 1) * self._every + zero
            while end > stall - self._length:
                end += stall - max(start, stall - self._length)
                stall += self._every
            return end
        into = (end - zero) % self._every
        # The stall lies at the end of each period, so that a run begins well.
        left = self._every - into
        return end + left if left <= self._length else end


class Metastable:
    """A queue that works at a fraction of its speed from the moment its backlog exceeds `tip`
    seconds until the backlog is gone: it stays down after what pushed it over has passed."""

    def __init__(self, mean: float, tip: float, slow: float = 3.0, *, seed: int | str = 1) -> None:
        self._queue = Queue(mean, seed=seed)
        self._mean = mean
        self._tip = tip
        self._slow = slow
        self._end = 0.0
        self.tipped = False

    def admit(self, now: float) -> float:
        """Fast, until it is pushed over."""
        backlog = self._end - now
        if backlog > self._tip:
            self.tipped = True
        elif backlog <= 0:
            self.tipped = False
        self._end = self._queue.admit(now, self._mean * (self._slow if self.tipped else 1.0))
        return self._end


def mmc_capacity(mean: float, servers: int, quantile: float, limit: float) -> float:
    """The highest rate at which an M/M/c keeps a quantile of its response time below a limit.

    P(T > t) by Erlang's C formula (L. Kleinrock, Queueing Systems, vol. 1, ch. 3), then bisection.
    """
    low, high = 0.0, servers / mean
    for _ in range(100):
        middle = (low + high) / 2
        if _late_share(middle, 1 / mean, servers, limit) <= 1 - quantile:
            low = middle
        else:
            high = middle
    return low


def _late_share(rate: float, speed: float, servers: int, limit: float) -> float:
    """P(T > limit): waiting (probability C, then exponential) plus service."""
    load = rate / speed
    spare = servers * speed - rate
    if spare <= 0:
        return 1.0
    terms = [load**k / math.factorial(k) for k in range(servers)]
    top = load**servers / math.factorial(servers) * servers / (servers - load)
    waits = top / (sum(terms) + top)
    alone = math.exp(-speed * limit)
    gap = spare - speed
    if abs(gap) < 1e-9 * speed:
        return alone * (1 + waits * speed * limit)
    # Convolution of the wait's and the service's exponentials.
    both = (spare * math.exp(-speed * limit) - speed * math.exp(-spare * limit)) / gap
    return (1 - waits) * alone + waits * both


_KINDS: Final[dict[str, type[Any]]] = {
    "queue": Queue,
    "scaling": Scaling,
    "leaking": Leaking,
    "stalling": Stalling,
    "metastable": Metastable,
}


def model_of(kind: str, settings: Mapping[str, Any]) -> Model:
    """A model by its name. Raises UsageError for an unknown one."""
    if kind not in _KINDS:
        raise UsageError(f"no model {kind!r}", hint=did_you_mean(kind, _KINDS))
    made: Model = _KINDS[kind](**settings)
    return made
