"""`chapiteau run …`: every command of the supervisor in one place."""

from typing import Final

import click

from chapiteau.io.lazy_group import LazyGroup
from chapiteau.run.api.commands import COMMANDS

__all__ = ["FRONT", "group"]

_HERE: Final = "chapiteau.run.cli"
_COMMANDS: Final = {
    name: (f"{_HERE}.verbs:{name}", call.summary) for name, call in COMMANDS.items()
}

# name → (module:attribute, one line for --help): first those of `chapiteau` itself
FRONT: Final[dict[str, tuple[str, str]]] = {
    "up": (f"{_HERE}.up:up", "Start the services of chapiteau.toml."),
    "down": (f"{_HERE}.down:down", "Stop all services and the supervisor."),
    "status": (f"{_HERE}.output:status", "Show services, their state and current problems."),
    "logs": (f"{_HERE}.output:logs", "Show output of services; -f keeps printing new lines."),
    "events": (f"{_HERE}.output:events", "Show events; -f keeps printing new ones."),
    **{name: line for name, line in _COMMANDS.items() if COMMANDS[name].fleet},
    "check": (f"{_HERE}.check:check", "Validate chapiteau.toml and list every problem."),
    "plan": (f"{_HERE}.check:plan", "Show what applying the file would change."),
}
_TABLE: Final = {
    **FRONT,
    **_COMMANDS,
    "attach": (f"{_HERE}.attach:attach", "Attach to a process's terminal."),
    "set": (f"{_HERE}.settings:set_command", "Change settings while services run."),
    "add": (f"{_HERE}.settings:add_command", "Add a service that is not in the file."),
    "rm": (f"{_HERE}.settings:remove_command", "Stop a service and remove it."),
    "get": (f"{_HERE}.settings:get_command", "Show the settings in effect."),
    "top": (f"{_HERE}.top:top", "Show CPU and memory of every process, live."),
    "apply": (f"{_HERE}.check:apply", "Apply the changed file, completely or not at all."),
    "exec": (f"{_HERE}.exec:exec_command", "Run a command in a service's environment."),
    "upgrade": (f"{_HERE}.up:upgrade", "Replace the supervisor; services keep running."),
    "doctor": (f"{_HERE}.doctor:doctor", "Check that this machine can run the project."),
    "unit": (f"{_HERE}.unit:unit", "Print a systemd unit for this project."),
    "plugin": (f"{_HERE}.exec:plugin", "Run one plugin of the configuration in the foreground."),
    "circus-bridge": (f"{_HERE}.exec:circus_bridge", "Answer Circus's protocol (for circusctl)."),
    "daemon": (f"{_HERE}.up:daemon", "Run the supervisor in the foreground, for systemd."),
    "schema": (f"{_HERE}.check:schema", "Print the JSON Schema of chapiteau.toml."),
}


@click.command(cls=LazyGroup, table=_TABLE, name="run")
def group() -> None:
    """All supervisor commands: keep processes alive, replace them without losing a request.

    \b
    chapiteau run up              the same as `chapiteau up`
    chapiteau run apply           apply the changed chapiteau.toml
    chapiteau run doctor          check that this machine can run the project
    """
