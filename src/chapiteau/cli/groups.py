"""Which module holds which command: strings, so that nothing is imported before it is asked for."""

from typing import Final

import click

from chapiteau.io.lazy_group import LazyGroup
from chapiteau.run.cli.group import FRONT

__all__ = ["COMMANDS", "SECTIONS", "main", "service_group"]

# `chapiteau service`: the list stands here, since importing the framework takes long.
_AT: Final = "chapiteau.service.cli"
_TABLE: Final[dict[str, tuple[str, str]]] = {
    "serve": (f"{_AT}.serve:serve", "Serve a WSGI application with one process."),
    "routes": (f"{_AT}.document:routes", "List every operation: method, path, id, summary."),
    "openapi": (f"{_AT}.document:openapi", "Write the OpenAPI document."),
    "check": (f"{_AT}.document:check", "Find what a reader of the document would miss."),
    "diff": (f"{_AT}.document:diff", "Compare two documents: breaking or compatible?"),
    "client": (f"{_AT}.document:client", "Removed: other programs write clients."),
}


@click.command(cls=LazyGroup, table=_TABLE, name="service")
def service_group() -> None:
    """Web services: serve them, list their routes, write and compare their documents."""


_RUN: Final = "chapiteau.run.cli"
_LOOK: Final = ("status", "logs", "events", "check", "plan")


def _front(*names: str) -> dict[str, tuple[str, str]]:
    return {name: FRONT[name] for name in names}


# heading of `chapiteau --help` → name → (module:attribute, one line)
_HEADINGS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Start": {
        "new": ("chapiteau.service.cli.new:new", "Create a project from a template."),
        **_front("up", "down"),
        "service": (
            "chapiteau.cli.groups:service_group",
            "Serve web services, list routes, compare documents.",
        ),
        "import": (
            "chapiteau.migrate.cli:import_command",
            "Convert another tool's configuration.",
        ),
        "completion": (f"{_RUN}.check:completion", "Print a shell completion script."),
    },
    "Look": {
        **_front(*_LOOK),
        "top": ("chapiteau.dash.cli.top:command", "Watch all servers in the terminal, live."),
        "mcp": (
            "chapiteau.mcp.cli:command",
            "Let agents look at the project, and ask for changes.",
        ),
    },
    "Change": {
        **_front(*(name for name in FRONT if name not in {"up", "down", *_LOOK})),
        "run": (f"{_RUN}.group:group", "All supervisor commands (attach, apply, doctor …)."),
    },
    "Test": {
        "load": (
            "chapiteau.load.cli:group",
            "Load tests: run, find the capacity, report, compare.",
        ),
    },
    "Servers": {
        "dash": ("chapiteau.dash.cli:group", "Run the dashboard and manage its accounts."),
        "hub": ("chapiteau.dash.cli.hub:group", "Run the hub: one dashboard for several servers."),
        "node": ("chapiteau.dash.cli.node:group", "Connect this server to a hub."),
    },
}
COMMANDS: Final = {name: line for table in _HEADINGS.values() for name, line in table.items()}

# Section of chapiteau.toml → the dataclass of its settings, for `chapiteau check`. The
# supervisor's own sections are checked by itself; a NAME stands for names that people choose.
SECTIONS: Final[dict[str, str]] = {
    "dash": "chapiteau.dash.settings:Dash",
    "hub": "chapiteau.dash.settings:HubSettings",
    "load.NAME": "chapiteau.load.settings:LoadTest",
}


# The whole command line, as click sees it.


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    headings=_HEADINGS,
    context_settings={"help_option_names": ["-h", "--help"], "obj": SECTIONS},
    epilog="Guides, settings, exit codes: https://github.com/chapiteau/chapiteau/tree/main/docs",
)
@click.version_option(package_name="chapiteau", prog_name="chapiteau")
def main() -> None:
    """Build, deploy and run web services in Python, and prove that they scale.

    \b
    chapiteau up                  start what chapiteau.toml says, logs in colour
    chapiteau status              what runs, and what is wrong
    chapiteau load capacity URL   how much does it carry within its objective?
    """
