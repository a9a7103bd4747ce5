"""`check`, `plan` and `apply`: is the file right, what would it change, and do it."""

import json
from pathlib import Path
from typing import Any

import click

from chapiteau.core.exit_codes import NOT_MET, exit_codes_of
from chapiteau.core.problems import InvalidInputError, Problem
from chapiteau.io.console import print_json
from chapiteau.io.project_file import find_config
from chapiteau.run.cli.options import config_option, json_option, message, print_outcome

__all__ = ["apply", "check", "completion", "plan", "schema"]


@click.command("check", epilog=exit_codes_of("check"))
@config_option
@json_option
def check(config: str | None, json_wanted: bool) -> None:
    """Validate chapiteau.toml and list every problem, each with its line.

    A program or an app that this machine doesn't have is a warning: the file may be meant for
    another one.

    \b
    chapiteau check
    chapiteau check -c /srv/shop --json
    """
    from chapiteau.run.cli.programs import missing_programs
    from chapiteau.run.cli.up import EXAMPLE
    from chapiteau.run.config.load import check_config, load_config
    from chapiteau.run.system.cgroups import unavailable_limits

    path = find_config(config)
    problems = check_config(path, _other_sections())
    problems += _plugin_problems(path)
    if json_wanted:
        missing = [] if problems else list(missing_programs(load_config(path)))
        warnings = [{"what": what, "hint": hint} for what, hint in missing]
        found = [p.to_dict() for p in problems]
        print_json({"schema": 1, "ok": not found, "problems": found, "warnings": warnings})
        if problems:
            raise click.exceptions.Exit(NOT_MET)
        return
    if problems:
        raise InvalidInputError(_shown(path), problems, exit_code=NOT_MET)
    loaded = load_config(path)
    spec = loaded.spec
    click.echo(
        f"{_shown(path)}: no problems ({_count(spec.service, 'service')}, "
        f"{_count(spec.socket, 'socket')})"
    )
    if not spec.service:
        message(f"it has no service yet: {EXAMPLE}")
    for line, hint in (*missing_programs(loaded), *unavailable_limits(spec)):
        message(f"{line}\n    {hint}", colour="yellow")


def _plugin_problems(path: Path) -> list[Problem]:
    """Options of plugins that are not shipped: their class knows what is right."""
    from chapiteau.core.errors import UsageError
    from chapiteau.core.fields import read
    from chapiteau.io.project_file import read_project
    from chapiteau.run.config.spec import Plugin

    try:
        project = read_project(path)
    except UsageError:
        return []  # told already
    plugins = {name: read(Plugin, raw)[0] for name, raw in project.section("plugin").items()}
    if not any(plugins.values()):
        return []
    from chapiteau.run.plugins.plugin import option_problems

    return [
        Problem(project.where(place), f"{problem.where}: {problem.what}", problem.hint)
        for name, plugin in plugins.items()
        if plugin is not None
        for place, problem in option_problems(name, plugin, project.folder)
    ]


def _other_sections() -> dict[str, type[Any]]:
    """The front door knows, as words, who declares the sections that are not the supervisor's."""
    from importlib import import_module

    table = click.get_current_context().find_root().obj or {}
    pairs = {section: target.partition(":") for section, target in table.items()}
    return {s: getattr(import_module(module), name) for s, (module, _, name) in pairs.items()}


@click.command("plan")
@config_option
@json_option
def plan(config: str | None, json_wanted: bool) -> None:
    """Show what applying the file would change. Changes nothing.

    \b
    chapiteau plan
    chapiteau plan --json
    """
    from chapiteau.run.api.client import Client

    outcome = Client.find(config).plan()
    if json_wanted or not outcome.ok:
        print_outcome(outcome, json_wanted=json_wanted)
        return
    click.echo(_plan_text(outcome.data.get("changes", []), outcome.text))


def _plan_text(changes: list[dict[str, Any]], text: str) -> str:
    if not changes:
        return text or "nothing would change"
    return "\n".join(str(change.get("text", change)) for change in changes)


@click.command("apply")
@config_option
@json_option
def apply(config: str | None, json_wanted: bool) -> None:
    """Make the supervisor follow the file on disk: all of it, or nothing.

    \b
    chapiteau plan && chapiteau run apply
    """
    from chapiteau.run.api.client import Client

    print_outcome(Client.find(config).apply(), json_wanted=json_wanted)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _count(things: dict[str, Any], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


# `chapiteau run schema` and `chapiteau completion`: what editors and shells want to know.


@click.command("schema")
def schema() -> None:
    """JSON Schema of chapiteau.toml, for editors that complete and check TOML.

    \b
    chapiteau run schema > chapiteau.schema.json
    then begin chapiteau.toml with:  #:schema ./chapiteau.schema.json

    `chapiteau new` writes that line with the published address. `chapiteau check` finds more:
    what belongs together, what excludes each other, and names that nothing bears.
    """
    from chapiteau.run.config.load import config_schema

    click.echo(json.dumps(config_schema(_other_sections()), indent=2, ensure_ascii=False))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell completion script for commands and services.

    \b
    bash:  chapiteau completion bash > ~/.local/share/bash-completion/completions/chapiteau
    zsh:   chapiteau completion zsh > ~/.zfunc/_chapiteau
    fish:  chapiteau completion fish > ~/.config/fish/completions/chapiteau.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(f"click knows no completion for {shell}")
    click.echo(kind(root, {}, "chapiteau", "_CHAPITEAU_COMPLETE").source())
