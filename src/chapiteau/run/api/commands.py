"""The commands on services, in light values: names, help and who may be asked for them.

run/api/calls.py makes a call of each; the front door reads this and imports nothing else for it.
"""

from typing import Final, Literal, NamedTuple

__all__ = ["COMMANDS", "Command", "node_commands"]

Subject = Literal["service", "node"]


class Command(NamedTuple):
    """POST /v1/services/NAME/COMMAND, `chapiteau COMMAND`, and a button of the page."""

    name: str
    summary: str
    options: str = ""  # names of CommandOptions that it uses
    subject: Subject = "service"
    fleet: bool = False  # whether a hub may ask it of its nodes
    effect: str = ""  # what the page says before it is done
    examples: str = ""  # of the command line, after more about it
    role: Literal["operator", "admin"] = "operator"  # the least that may ask for it


_ALL: Final = (
    Command(
        "start",
        "Start services and what they need.",
        "wait timeout",
        fleet=True,
        effect="Starts what is not running.",
        examples="""Without names: all that start by themselves.

        chapiteau start web
        chapiteau start 'worker-*' --no-wait
        chapiteau start web --timeout 20s""",
    ),
    Command(
        "stop",
        "Stop services; the supervisor keeps running.",
        "wait timeout process",
        fleet=True,
        effect="Its processes get the stop signal, and are killed when they take too long. "
        "Requests are refused until it is started again.",
        examples="""None of their processes survives. `chapiteau down` ends the supervisor too.

        chapiteau stop worker
        chapiteau stop 'web*' cron
        chapiteau stop all""",
    ),
    Command(
        "restart",
        "Stop services, then start them.",
        "wait timeout process",
        fleet=True,
        effect="Stops every process, then starts them again. "
        "Prefer reload where no request may be lost.",
        examples="""Requests may be lost; `reload` loses none.

        chapiteau restart web
        chapiteau restart web --process 2
        chapiteau restart all --timeout 1m""",
    ),
    Command(
        "reload",
        "Replace processes without losing a request.",
        "wait timeout process",
        fleet=True,
        effect="Replaces the processes one batch at a time; no request is lost.",
        examples="""Without names: apply the changed chapiteau.toml, as `run apply` does.

        chapiteau reload web          new processes are ready before old ones go
        chapiteau reload 'web*'
        chapiteau reload              what `chapiteau plan` shows""",
    ),
    Command(
        "scale",
        "Change the number of processes of a service.",
        "wait timeout processes by",
        fleet=True,
        effect="Changes how many processes run.",
        examples="""It lasts until the supervisor ends. NAME=N says how many, NAME=+N how many more;
        fewer than now is --by -N.

        chapiteau scale web=6
        chapiteau scale web=+2 worker=4
        chapiteau scale web 6
        chapiteau scale web worker --by -1""",
    ),
    Command(
        "signal",
        "Send a signal to the processes of services.",
        "signal process whole",
        fleet=True,
        effect="Sends the signal to the processes.",
        examples="""
        chapiteau signal HUP nginx
        chapiteau signal USR1 web --process 2""",
    ),
    Command(
        "reopen",
        "Reopen log files (for logrotate).",
        examples="""
        postrotate: chapiteau run reopen -c /srv/shop""",
    ),
    Command(
        "drain",
        "Stop services gracefully and start nothing new.",
        subject="node",
        fleet=True,
        effect="Stops services gracefully, dependents first, then refuses connections. "
        "Stays drained after a reboot.",
        examples="""Dependents stop first. Then connections are refused, so that a load balancer
        goes elsewhere. Scheduled jobs are paused. The state survives a reboot; `down` and `up`
        begin afresh.

        chapiteau drain
        chapiteau undrain""",
    ),
    Command(
        "undrain",
        "End the drain; services start again.",
        subject="node",
        fleet=True,
        effect="What ran before starts again, and connections are accepted.",
        examples="""
        chapiteau undrain""",
    ),
)
COMMANDS: Final = {command.name: command for command in _ALL}


def node_commands(subject: Subject | None = None) -> tuple[str, ...]:
    """Names of the commands that a hub may ask of its nodes: about this subject, or all."""
    return tuple(c.name for c in _ALL if c.fleet and subject in (None, c.subject))
