"""Long work: what its status resource tells."""

from typing import Literal

import msgspec

__all__ = ["Job", "JobState"]

JobState = Literal["running", "done", "failed"]


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that was accepted (202) and is being done, or has been."""

    id: str
    state: JobState
    since: float
    """When it was accepted, in seconds since 1970."""
    until: float | None = None
    """When it ended."""
    answer: str = ""
    """Where its answer is, once it is done."""
