"""`chapiteau load …`"""

import click

from chapiteau.plumbing.lazygroup import LazyGroup

__all__ = ["group"]

_TABLE = {
    "run": ("chapiteau.load.commands.run:run", "Put a given load on a service and judge it."),
    "capacity": ("chapiteau.load.commands.capacity:capacity", "Find the highest rate it keeps."),
    "ab": ("chapiteau.load.commands.ab:ab", "Is B faster or slower than A? In turns."),
    "attach": ("chapiteau.load.commands.detached:attach", "Watch a running test to its end."),
    "stop": ("chapiteau.load.commands.detached:stop", "End a running test; its result stays."),
    "mark": ("chapiteau.load.commands.detached:mark", "Note a moment of a running test."),
    "add": ("chapiteau.load.commands.detached:add", "Put more load on in a running test."),
    "list": ("chapiteau.load.commands.results:list_results", "Stored results."),
    "show": ("chapiteau.load.commands.results:show", "One stored result."),
    "report": ("chapiteau.load.commands.results:report", "A result as HTML, JSON, CSV, JUnit, MD."),
    "k8s": ("chapiteau.load.commands.k8s:k8s", "Manifests of a cluster that puts load on."),
    "baseline": (
        "chapiteau.load.commands.results:baseline",
        "What others are held against.",
    ),
    "compare": ("chapiteau.load.commands.results:compare", "Is B faster or slower than A?"),
}


@click.command(cls=LazyGroup, table=_TABLE)
def group() -> None:
    """Load tests: how much does a service carry, and where does it break?

    \b
    chapiteau load run http://localhost:8000/ --rate 200/s --objective "p99 < 200ms"
    chapiteau load capacity http://localhost:8000/openapi.json --objective "p99 < 200ms"
    chapiteau load run scenario.py --users 50 --duration 1m
    """
