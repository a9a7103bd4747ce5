"""Which module holds which command: strings, so that nothing is imported before it is asked for."""

from typing import Final

__all__ = ["COMMANDS"]

# name → (module:attribute, one line for `chapiteau --help`)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("chapiteau.run.commands:up", "Start the services of chapiteau.toml."),
    "down": ("chapiteau.run.commands:down", "Stop everything, the supervisor too."),
    "status": ("chapiteau.run.commands:status", "What runs, and what is wrong."),
    "logs": ("chapiteau.run.commands:logs", "Output of the services; -f follows."),
    "events": ("chapiteau.run.commands:events", "What happened; -f follows."),
    "start": ("chapiteau.run.commands:start", "Start services."),
    "stop": ("chapiteau.run.commands:stop", "Stop services."),
    "restart": ("chapiteau.run.commands:restart", "Stop services, then start them."),
    "reload": ("chapiteau.run.commands:reload", "Replace processes, no request lost."),
    "scale": ("chapiteau.run.commands:scale", "Change how many processes a service has."),
    "check": ("chapiteau.run.commands:check", "Every problem of a chapiteau.toml."),
    "plan": ("chapiteau.run.commands:plan", "What a changed file would change."),
    "run": ("chapiteau.run.commands:group", "The supervisor: every other command of it."),
    "service": ("chapiteau.service.commands:group", "Web services: routes, OpenAPI document."),
    "load": ("chapiteau.load.commands:group", "Load tests: run, capacity, report, compare."),
    "dash": ("chapiteau.dash.commands:group", "The dashboard."),
    "import": ("chapiteau.run.commands.importing:command", "Move in from other supervisors."),
    "new": ("chapiteau.service.commands:new", "A new project from a template."),
}
