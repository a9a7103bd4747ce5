"""`chapiteau run …`: every command of the supervisor in one place."""

from typing import Final

import click

from chapiteau.io.lazy_group import LazyGroup

__all__ = ["group"]

_HERE: Final = "chapiteau.run.commands"
_TABLE: Final[dict[str, tuple[str, str]]] = {
    "up": (f"{_HERE}.up:command", "Start the services of chapiteau.toml."),
    "down": (f"{_HERE}.down:command", "Stop everything, the supervisor too."),
    "status": (f"{_HERE}.status:command", "What runs, and what is wrong."),
    "logs": (f"{_HERE}.output:logs", "Output of the services; -f follows."),
    "events": (f"{_HERE}.output:events", "What happened; -f follows."),
    "start": (f"{_HERE}.deeds:start", "Start services."),
    "stop": (f"{_HERE}.deeds:stop", "Stop services."),
    "restart": (f"{_HERE}.deeds:restart", "Stop services, then start them."),
    "reload": (f"{_HERE}.deeds:reload", "Replace processes, no request lost."),
    "scale": (f"{_HERE}.deeds:scale", "Change how many processes a service has."),
    "signal": (f"{_HERE}.deeds:signal", "Send a signal to a service's processes."),
    "drain": (f"{_HERE}.deeds:drain", "Empty this server: all end their work."),
    "undrain": (f"{_HERE}.deeds:undrain", "Take up work again."),
    "attach": (f"{_HERE}.attach:command", "Be at a process's terminal."),
    "set": (f"{_HERE}.settings:set_command", "Change settings while services run."),
    "add": (f"{_HERE}.settings:add_command", "Add a service that is not in the file."),
    "rm": (f"{_HERE}.settings:remove_command", "Stop a service and forget it."),
    "get": (f"{_HERE}.settings:get_command", "Settings as they run now."),
    "reopen": (f"{_HERE}.deeds:reopen", "Open log files anew (logrotate)."),
    "top": (f"{_HERE}.top:command", "CPU and memory of every process, live."),
    "check": (f"{_HERE}.check:check", "Every problem of a chapiteau.toml."),
    "plan": (f"{_HERE}.check:plan", "What a changed file would change."),
    "apply": (f"{_HERE}.check:apply", "Follow the changed file, whole or not at all."),
    "exec": (f"{_HERE}.machine.oneoff:command", "Run something in a service's environment."),
    "upgrade": (f"{_HERE}.machine.upgrade:command", "A new supervisor; the services go on."),
    "doctor": (f"{_HERE}.machine.doctor:command", "Is this machine fit for it?"),
    "unit": (f"{_HERE}.machine.unit:command", "A systemd unit for this project."),
    "plugin": (f"{_HERE}.machine.plugin:plugin", "Run a plugin of the configuration, here."),
    "circus-bridge": (f"{_HERE}.machine.plugin:circus_bridge", "Speak Circus's protocol."),
    "daemon": (f"{_HERE}.machine.daemon:command", "Become the supervisor in this process."),
    "schema": (f"{_HERE}.machine.schema:schema", "JSON Schema of chapiteau.toml."),
}


@click.command(cls=LazyGroup, table=_TABLE, name="run")
def group() -> None:
    """The supervisor: keeps processes alive, replaces them without losing a request.

    \b
    chapiteau run up              the same as `chapiteau up`
    chapiteau run apply           follow the changed chapiteau.toml
    chapiteau run doctor          is this machine fit for it?
    """
