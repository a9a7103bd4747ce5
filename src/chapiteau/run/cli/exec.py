"""`run exec`, `run plugin` and `run circus-bridge`: something of the project in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chapiteau.io.project_file import find_config
from chapiteau.run.cli.options import config_option, message, service_names

if TYPE_CHECKING:
    from pathlib import Path

    from chapiteau.run.config.spec import Plugin

__all__ = ["circus_bridge", "exec_command", "plugin"]


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("service", shell_complete=service_names)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@config_option
def exec_command(service: str, words: tuple[str, ...], config: str | None) -> None:
    """Run something in a service's environment, folder, user and limits, on this terminal.

    The supervisor need not run. The exit code is the command's own.

    \b
    chapiteau run exec web -- python manage.py migrate
    chapiteau run exec web -- env
    """
    from chapiteau.run.config.load import load_config
    from chapiteau.run.process.oneoff import run_oneoff

    run_oneoff(load_config(find_config(config)), service, words)


@click.command("plugin")
@click.argument("name")
@config_option
def plugin(name: str, config: str | None) -> None:
    """Run [plugin.NAME] of the running configuration, here, until Ctrl-C.

    The supervisor runs every plugin of its configuration by itself; this is for writing one.

    \b
    chapiteau run plugin guard
    """
    _run(name, find_config(config), None)


@click.command("circus-bridge")
@config_option
@click.option("--endpoint", default="", help="Commands; ipc://PATH, or tcp://127.0.0.1:PORT.")
@click.option("--pubsub", default="", help="Events.")
@click.option("--stats", default="", help="Figures.")
@click.option("--allow-tcp", is_flag=True, help="Every user of this machine may command then.")
def circus_bridge(
    config: str | None, endpoint: str, pubsub: str, stats: str, allow_tcp: bool
) -> None:
    """Speak Circus's protocol, for circusctl, circus-top and plugins written for Circus.

    \b
    chapiteau run circus-bridge          prints its endpoints
    [plugin.circus] use = "circus"       the same, kept alive by the supervisor
    """
    from chapiteau.run.config.spec import Plugin

    options = {
        "endpoint": endpoint,
        "pubsub_endpoint": pubsub,
        "stats_endpoint": stats,
        "allow_tcp": allow_tcp,
    }
    spec = Plugin(use="circus", options=options)
    _check(spec)
    _run("circus", find_config(config), spec)


def _check(spec: Plugin) -> None:
    """The rules that a configuration would be held to."""
    from chapiteau.core.problems import Problem, raise_problems
    from chapiteau.run.config.plugin_rules import plugin_rules

    broken = plugin_rules({"circus": spec}, ())
    raise_problems("circus-bridge", [Problem(str(b.path[-1]), b.what, b.hint) for b in broken])


def _run(name: str, config: Path, spec: Plugin | None) -> None:
    import asyncio

    from chapiteau.run.plugins.host import run_plugin

    try:
        asyncio.run(run_plugin(name, config, spec))
    except KeyboardInterrupt:
        message(f"{name}: stopped")
