"""Which module holds which command: strings, so that nothing is imported before it is asked for."""

from typing import Final

__all__ = ["COMMANDS", "SECTIONS"]

# name → (module:attribute, one line for `chapiteau --help`)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("chapiteau.run.commands.up:command", "Start the services of chapiteau.toml."),
    "down": ("chapiteau.run.commands.down:command", "Stop everything, the supervisor too."),
    "status": ("chapiteau.run.commands.status:command", "What runs, and what is wrong."),
    "logs": ("chapiteau.run.commands.output:logs", "Output of the services; -f follows."),
    "events": ("chapiteau.run.commands.output:events", "What happened; -f follows."),
    "top": ("chapiteau.dash.cli.top:command", "The fleet in a terminal, live."),
    "start": ("chapiteau.run.commands.deeds:start", "Start services."),
    "stop": ("chapiteau.run.commands.deeds:stop", "Stop services."),
    "restart": ("chapiteau.run.commands.deeds:restart", "Stop services, then start them."),
    "reload": ("chapiteau.run.commands.deeds:reload", "Replace processes, no request lost."),
    "scale": ("chapiteau.run.commands.deeds:scale", "Change how many processes a service has."),
    "signal": ("chapiteau.run.commands.deeds:signal", "Send a signal to a service's processes."),
    "drain": ("chapiteau.run.commands.deeds:drain", "Empty this server: all end their work."),
    "undrain": ("chapiteau.run.commands.deeds:undrain", "Take up work again."),
    "check": ("chapiteau.run.commands.check:check", "Every problem of a chapiteau.toml."),
    "plan": ("chapiteau.run.commands.check:plan", "What a changed file would change."),
    "run": ("chapiteau.run.commands.group:group", "The supervisor: every other command of it."),
    "service": ("chapiteau.cli.service:group", "Web services: routes, OpenAPI document."),
    "load": ("chapiteau.load.cli:group", "Load tests: run, capacity, report, compare."),
    "dash": ("chapiteau.dash.cli:group", "The dashboard."),
    "hub": ("chapiteau.dash.cli.hub:group", "Many servers on one page: the page's side."),
    "node": ("chapiteau.dash.cli.node:group", "Many servers on one page: this server's side."),
    "import": ("chapiteau.migrate.cli:import_command", "Move in from other supervisors."),
    "completion": (
        "chapiteau.run.commands.machine.schema:completion",
        "Teach your shell to complete.",
    ),
    "new": ("chapiteau.service.commands.new:new", "A new project from a template."),
}

# Section of chapiteau.toml → the dataclass of its settings, for `chapiteau check`. The
# supervisor's own sections are checked by itself; a NAME stands for names that people choose.
SECTIONS: Final[dict[str, str]] = {
    "dash": "chapiteau.dash.settings:Dash",
    "hub": "chapiteau.dash.settings:HubSettings",
    "load.NAME": "chapiteau.load.settings:LoadTest",
}
