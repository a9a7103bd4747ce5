"""An order in which things that need each other can start; a cycle is named."""

from collections.abc import Iterable, Mapping

from chapiteau.core.errors import UsageError

__all__ = ["CycleError", "layers", "start_order"]


class CycleError(UsageError):
    """Things that need each other in a ring; `cycle` names them, the first repeated at the end."""

    def __init__(self, cycle: Iterable[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(
            f"these need each other in a ring: {' → '.join(self.cycle)}",
            hint="take one of these `needs`/`after` entries out",
        )


def layers(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups that may start together, in order; within a group, the mapping's own order.

    Names that are needed but are no key of `needs` count as already there.
    Raises CycleError.
    """
    left = {name: {n for n in wanted if n in needs} for name, wanted in needs.items()}
    found: list[list[str]] = []
    while left:
        free = [name for name, wanted in left.items() if not wanted & left.keys()]
        if not free:
            raise CycleError(_a_cycle(left))
        found.append(free)
        for name in free:
            del left[name]
    return found


def start_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Every name after all that it needs. Raises CycleError."""
    return [name for group in layers(needs) for name in group]


def _a_cycle(left: Mapping[str, set[str]]) -> list[str]:
    """Walk needs until a name comes again: the walk from its first visit on is a ring."""
    path: list[str] = []
    name = next(iter(left))
    while name not in path:
        path.append(name)
        name = min(left[name] & left.keys())
    return [*path[path.index(name) :], name]
