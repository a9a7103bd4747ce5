"""`run set` and `run get`: settings of running services, changed and looked at."""

import re
from collections.abc import Mapping
from typing import Any, Final

import click

from chapiteau.core.text import format_table
from chapiteau.io.console import print_json
from chapiteau.run.api.client import Client
from chapiteau.run.cli.options import (
    config_option,
    json_option,
    print_outcome,
    service_names,
    usage_error,
)

__all__ = ["add_command", "get_command", "remove_command", "set_command"]

_SETTING: Final = re.compile(r"[a-z_]+(?:\.[\w-]+)*=")


def _words(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """For Tab: names of settings."""
    from chapiteau.core.fields import settings
    from chapiteau.run.config.spec import Service

    end = "=" if ctx.command.name == "set" and not ctx.params.get("reset") else ""
    return [f"{s.name}{end}" for s in settings(Service) if s.name.startswith(incomplete)]


@click.command("set")
@click.argument("name", metavar="SERVICE", shell_complete=service_names)
@click.argument("words", nargs=-1, metavar="[SETTING=VALUE]...", shell_complete=_words)
@click.option("--reset", is_flag=True, help="Follow the file again; all settings, or those named.")
@config_option
@json_option
def set_command(
    name: str, words: tuple[str, ...], reset: bool, config: str | None, json_wanted: bool
) -> None:
    """Change settings of services while they run, as a changed file would: what must restart or
    reload does, and when that fails all is as before.

    It lasts until `chapiteau reload` follows the file again; `status` and `plan` show it.

    \b
    chapiteau run set web stop_timeout=30s restart.attempts=20
    chapiteau run set 'worker-*' env.DEBUG=1 processes=4
    chapiteau run set web --reset stop_timeout
    chapiteau run set web --reset
    """
    if not reset and not words:
        raise usage_error("set what?", f"chapiteau run set {name} stop_timeout=30s; or --reset")
    pairs = [] if reset else [_pair(word) for word in words]
    outcome = Client.find(config).configure(
        name, dict(pairs), reset=(words or ("*",)) if reset else ()
    )
    print_outcome(outcome, json_wanted=json_wanted)


@click.command("add")
@click.argument("name", metavar="NAME")
@click.argument("words", nargs=-1, metavar="[SETTING=VALUE]... [-- COMMAND...]")
@config_option
@json_option
def add_command(name: str, words: tuple[str, ...], config: str | None, json_wanted: bool) -> None:
    """Add a service that is not in the file, and start it (autostart=false: not yet).

    It lasts until `chapiteau reload` follows the file again, or `run rm`.

    \b
    chapiteau run add clock -- sh -c 'while :; do date; sleep 1; done'
    chapiteau run add web2 processes=2 sockets='["web"]' app=shop:make
    """
    count = next((i for i, word in enumerate(words) if not _SETTING.match(word)), len(words))
    settings = dict(map(_pair, words[:count]))
    if command := list(words[count:]):
        settings["command"] = command
    outcome = Client.find(config).configure(name, settings, add=True)
    print_outcome(outcome, json_wanted=json_wanted)


@click.command("rm")
@click.argument("name", metavar="SERVICE", shell_complete=service_names)
@config_option
@json_option
def remove_command(name: str, config: str | None, json_wanted: bool) -> None:
    """Stop services and forget them, until `chapiteau reload` follows the file again.

    \b
    chapiteau run rm clock
    """
    print_outcome(Client.find(config).configure(name, {}, remove=True), json_wanted=json_wanted)


def _pair(word: str) -> tuple[str, Any]:
    from chapiteau.run.config.overrides import parse_setting

    key, equals, text = word.partition("=")
    if not equals or not key:
        raise usage_error(f"{word!r} is not SETTING=VALUE")
    return key, parse_setting(key, text)


@click.command("get")
@click.argument("name", metavar="[SERVICE]", required=False, shell_complete=service_names)
@click.argument("words", nargs=-1, metavar="[SETTING]...", shell_complete=_words)
@config_option
@json_option
def get_command(
    name: str | None, words: tuple[str, ...], config: str | None, json_wanted: bool
) -> None:
    """Settings as they run now; those that were set at run time are marked.

    Without SERVICE: those of the project.

    \b
    chapiteau run get web
    chapiteau run get web stop_timeout restart
    chapiteau run get --json
    """
    from chapiteau.run.config.selection import select

    running = Client.find(config).config()
    if name is None:
        found = _chosen(running["project"], words)
        own: Mapping[str, Any] = {}
    else:
        service = select(name, list(running["service"]))
        if len(service) > 1:
            raise usage_error(f"{name} is {len(service)} services", "get shows one")
        found = _chosen(running["service"][service[0]], words)
        own = running.get("set", {}).get(service[0], {})
    if json_wanted:
        print_json({"schema": 1, "settings": found, "set": dict(own)})
        return
    rows = [
        (key, _shown(value), "set at run time" if key in own else "")
        for key, value in found.items()
    ]
    click.echo(format_table(rows))


def _chosen(settings: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    """Dotted name → value. Raises NotFoundError."""
    from chapiteau.core.errors import NotFoundError
    from chapiteau.core.problems import did_you_mean

    flat = dict(_flat(settings))
    if not words:
        return flat
    chosen: dict[str, Any] = {}
    for word in words:
        met = {k: v for k, v in flat.items() if k == word or k.startswith(f"{word}.")}
        if not met:
            raise NotFoundError(f"no setting {word!r}", hint=did_you_mean(word, flat))
        chosen |= met
    return chosen


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _shown(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
