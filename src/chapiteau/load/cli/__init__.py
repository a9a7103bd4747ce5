"""`chapiteau load …`"""

import click

from chapiteau.io.lazy_group import LazyGroup

__all__ = ["group"]

_TABLE = {
    "run": ("chapiteau.load.cli.run:run", "Run a load test and judge the result."),
    "capacity": ("chapiteau.load.cli.run:capacity", "Find the highest rate it keeps."),
    "ab": ("chapiteau.load.cli.run:ab", "Is B faster or slower than A? In turns."),
    "attach": ("chapiteau.load.cli.background:attach", "Watch a running test to its end."),
    "stop": ("chapiteau.load.cli.background:stop", "End a running test; its result stays."),
    "mark": ("chapiteau.load.cli.background:mark", "Note a moment of a running test."),
    "add": ("chapiteau.load.cli.background:add", "Put more load on in a running test."),
    "list": ("chapiteau.load.cli.results:list_results", "Stored results."),
    "show": ("chapiteau.load.cli.results:show", "One stored result."),
    "report": ("chapiteau.load.cli.results:report", "A result as HTML, JSON, CSV, JUnit, MD."),
    "k8s": ("chapiteau.load.cli.k8s:k8s", "Manifests of a cluster that puts load on."),
    "baseline": ("chapiteau.load.cli.results:baseline", "What others are held against."),
    "compare": ("chapiteau.load.cli.results:compare", "Is B faster or slower than A?"),
}


@click.command(cls=LazyGroup, table=_TABLE)
def group() -> None:
    """Load tests: how much does a service carry, and where does it break?

    \b
    chapiteau load run http://localhost:8000/ --rate 200/s --objective "p99 < 200ms"
    chapiteau load capacity http://localhost:8000/openapi.json --objective "p99 < 200ms"
    chapiteau load run scenario.py --users 50 --duration 1m
    """
