"""How many connections came to each listening socket, from what could be counted of it."""

from collections.abc import Collection, Mapping

__all__ = ["arrived"]


def arrived(
    counted: Mapping[str, int], tcp: Collection[str], opened: int, watched: float
) -> dict[str, float]:
    """Connections to each name in the time of one look.

    `watched`: the share of that time in which each arrival was counted. At 1 they are known;
    below it there were too many, and what the network namespace took beyond the counted ones
    (`opened` in all, -1 when that isn't known) belongs to those of `tcp` in proportion. What is
    not TCP goes on at its pace.
    """
    if watched >= 1:
        return dict(counted)
    known = sum(counted[name] for name in counted if name in tcp)
    more = max(0, opened - known) / known if known and opened >= 0 else 0.0
    return {
        name: count * (1 + more) if name in tcp and opened >= 0 else count / watched
        for name, count in counted.items()
    }
