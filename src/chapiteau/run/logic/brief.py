"""The services in few words: for those who ask often, and need no figures."""

from dataclasses import dataclass

__all__ = ["BriefService", "BriefServices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefService:
    """One service: its state in a word, how many processes are ready, and their pids."""

    name: str
    state: str
    ready: int
    wanted: int
    pids: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefServices:
    """All of them, in the order of the configuration."""

    services: tuple[BriefService, ...]
