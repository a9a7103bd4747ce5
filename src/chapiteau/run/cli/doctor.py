"""`chapiteau run doctor`: is this machine fit for this project?"""

from typing import TYPE_CHECKING, Final

import click

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.io.console import print_json, use_colour
from chapiteau.io.project_file import find_config
from chapiteau.run.cli.options import config_option, json_option

if TYPE_CHECKING:
    from chapiteau.run.doctor import Finding

__all__ = ["doctor"]

_MARKS: Final = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}


@click.command("doctor")
@config_option
@json_option
def doctor(config: str | None, json_wanted: bool) -> None:
    """Is this machine fit for this project? Looks at rights, limits, ports, programs and files.

    Exit code 1 when something is wrong.

    \b
    chapiteau run doctor
    chapiteau run doctor --json
    """
    found = _findings(config)
    if json_wanted:
        print_json({"schema": 1, "findings": [finding.to_dict() for finding in found]})
    else:
        colour = use_colour()
        for finding in found:
            mark, name = _MARKS[finding.level]
            click.echo(
                f"{click.style(mark, fg=name) if colour else mark} {finding.what}"
                + (f"\n    {finding.hint}" if finding.hint else ""),
                color=True,
            )
    if any(finding.level == "bad" for finding in found):
        raise click.exceptions.Exit(1)


def _findings(config: str | None) -> "list[Finding]":
    from chapiteau.run.config.load import load_config
    from chapiteau.run.doctor import Finding, check_machine, check_project

    found = list(check_machine())
    try:
        found += check_project(load_config(find_config(config)))
    except NotFoundError as exc:
        if config:
            raise
        found.append(Finding(level="note", what=exc.what, hint="the machine alone was looked at"))
    except ChapiteauError as exc:
        found.append(Finding(level="bad", what=exc.what, hint=exc.hint))
    return found
