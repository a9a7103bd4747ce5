"""How often a client may ask: a budget that fills up again evenly, told in `RateLimit` headers.

The rule is GCRA (ITU-T I.371): one number per client, the time at which its budget is whole again.
The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.errors import DeclarationError

__all__ = ["RateDecision", "RateLimit", "rate_headers", "spend"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `requests` at once, and as many in `seconds` in the long run.

    `by` tells from the request whose budget it is; without it, that of the client's address.
    Operations whose limits have the same `name` share one budget. Raises DeclarationError.
    """

    requests: int
    seconds: float
    name: str = ""
    by: Callable[[Any], str] | None = None

    def __post_init__(self) -> None:
        if self.requests < 1 or not self.seconds > 0 or math.isinf(self.seconds):
            raise DeclarationError(
                "a RateLimit needs at least 1 request in more than 0 seconds",
                hint="say RateLimit(requests=100, seconds=60)",
            )
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"{self.name!r} can't stand in a header", hint="letters, digits, . _ -"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDecision:
    """Whether a request may pass, how many more may, and when (seconds) the budget is whole."""

    allowed: bool
    remaining: int
    whole_in: float
    retry_in: float = 0.0


def spend(limit: RateLimit, whole_at: float | None, now: float) -> tuple[float, RateDecision]:
    """Take one request from a budget that is whole at `whole_at`; gives the new time, and says."""
    each = limit.seconds / limit.requests
    before = now if whole_at is None else max(whole_at, now)
    # A clock that was set back must not lock anybody out for longer than the limit says.
    before = min(before, now + limit.seconds)
    after = before + each
    late = after - now - limit.seconds
    if late > 1e-6 * limit.seconds:
        kept = RateDecision(allowed=False, remaining=0, whole_in=before - now, retry_in=late)
        return before, kept
    remaining = int((limit.seconds - (after - now)) / each + 1e-6)
    return after, RateDecision(allowed=True, remaining=max(0, remaining), whole_in=after - now)


def rate_headers(limit: RateLimit, verdict: RateDecision) -> list[tuple[str, str]]:
    """`RateLimit-Policy` and `RateLimit`, and `Retry-After` when it was too much."""
    name = limit.name or "default"
    found = [
        ("RateLimit-Policy", f'"{name}";q={limit.requests};w={math.ceil(limit.seconds)}'),
        ("RateLimit", f'"{name}";r={verdict.remaining};t={math.ceil(verdict.whole_in)}'),
    ]
    if not verdict.allowed:
        found.append(("Retry-After", str(max(1, math.ceil(verdict.retry_in)))))
    return found
