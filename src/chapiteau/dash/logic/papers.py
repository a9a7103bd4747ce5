"""The hub's own certificates: when it is time to say that one of them ends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chapiteau.core.units import format_duration
from chapiteau.dash.logic.trouble import Trouble

__all__ = ["Paper", "ends_soon", "paper_troubles"]

_DAY: Final = 86_400.0
_SOON: Final = {"page": 14 * _DAY, "hub": 30 * _DAY, "ca": 180 * _DAY, "node": 7 * _DAY}
_WHAT: Final = {
    "page": "the page's certificate",
    "hub": "the hub's certificate for its nodes",
    "ca": "the hub's CA",
}
_CURE: Final = {
    "page": "Browsers refuse it then. Renew {where}: the hub takes the new file by itself.",
    "hub": "It should have renewed itself: is {where} writable? Nodes are locked out when it ends.",
    "ca": "Nodes are locked out when it ends. On the hub: chapiteau hub rotate.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One certificate. Times are seconds since 1970; `error`: why the newest file is not used."""

    kind: str  # "page", "hub" or "ca"
    where: str
    begins: float
    ends: float
    error: str = ""


def ends_soon(kind: str, begins: float, ends: float, now: float) -> bool:
    """Whether so little of its time is left that it should have been renewed."""
    return ends - now < min(_SOON[kind], (ends - begins) / 4)


def paper_troubles(node: str, papers: Iterable[Paper], now: float) -> Iterator[Trouble]:
    """What is wrong with the hub's own, told at this node."""
    for paper in papers:
        called, left = _WHAT[paper.kind], paper.ends - now
        if paper.error:
            yield _trouble(
                node, paper, f"{called} can't be renewed", paper.error, 2 if left <= 0 else 1
            )
        elif ends_soon(paper.kind, paper.begins, paper.ends, now):
            what = (
                f"{called} ends in {format_duration(max(1, round(left)))}"
                if left > 0
                else f"{called} has expired"
            )
            cause = _CURE[paper.kind].format(where=paper.where)
            yield _trouble(node, paper, what, cause, 2 if left <= 0 else 1)


def _trouble(node: str, paper: Paper, what: str, cause: str, severity: int) -> Trouble:
    return Trouble(
        key=f"{node}/certificate/{paper.kind}",
        kind="certificate",
        severity=severity,
        node=node,
        what=what,
        cause=cause,
    )
