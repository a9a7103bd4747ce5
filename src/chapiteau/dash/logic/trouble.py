"""One thing that is wrong."""

from dataclasses import dataclass, field

from chapiteau.dash.logic.lines import Cure

__all__ = ["Trouble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong."""

    key: str  # the same trouble keeps its key
    kind: str  # of its sort, for rules: docs/how-to/fleet-alerts.md lists them
    severity: int  # 2 broken, 1 degraded
    node: str
    what: str
    service: str = ""
    process: int = 0
    since: float = 0.0  # seconds since 1970; 0 unknown
    cause: str = ""
    lines: tuple[str, ...] = ()  # last output
    cures: tuple[Cure, ...] = field(default=())
    muted_until: float = 0.0  # somebody knows: nobody is told until then
    muted_by: str = ""
