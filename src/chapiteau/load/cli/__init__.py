"""`chapiteau load …`"""

import click

from chapiteau.io.lazy_group import LazyGroup

__all__ = ["group"]

_TABLE = {
    "run": ("chapiteau.load.cli.run:run", "Run a load test and judge the result."),
    "capacity": (
        "chapiteau.load.cli.run:capacity",
        "Find the highest rate that keeps an objective.",
    ),
    "ab": ("chapiteau.load.cli.run:ab", "Compare two services under load, in turns."),
    "attach": ("chapiteau.load.cli.background:attach", "Follow a running test to its end."),
    "stop": ("chapiteau.load.cli.background:stop", "Stop a running test and keep its result."),
    "mark": ("chapiteau.load.cli.background:mark", "Mark a moment in a running test."),
    "add": ("chapiteau.load.cli.background:add", "Add load to a running test."),
    "list": ("chapiteau.load.cli.results:list_results", "List stored results."),
    "show": ("chapiteau.load.cli.results:show", "Show a stored result."),
    "report": (
        "chapiteau.load.cli.results:report",
        "Export a result as HTML, JSON, CSV, JUnit or Markdown.",
    ),
    "k8s": (
        "chapiteau.load.cli.k8s:k8s",
        "Print Kubernetes manifests of a cluster for load tests.",
    ),
    "baseline": (
        "chapiteau.load.cli.results:baseline",
        "Set or show the results that others are compared with.",
    ),
    "compare": ("chapiteau.load.cli.results:compare", "Compare two results."),
}


@click.command(cls=LazyGroup, table=_TABLE)
def group() -> None:
    """Load tests: how much does a service carry, and where does it break?

    \b
    chapiteau load run http://localhost:8000/ --rate 200/s --objective "p99 < 200ms"
    chapiteau load capacity http://localhost:8000/openapi.json --objective "p99 < 200ms"
    chapiteau load run scenario.py --users 50 --duration 1m
    """
