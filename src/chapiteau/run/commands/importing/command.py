"""The command line of `chapiteau import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chapiteau.run.commands.importing.kindly import ImportCommand

if TYPE_CHECKING:
    from chapiteau.run.logic.imports.reading.source import Choices

__all__ = ["command"]

_KINDS = ("circus", "supervisord", "procfile", "pm2", "process-compose", "systemd")


@click.command(
    cls=ImportCommand, name="import", others={"cornice": "chapiteau.cornice.moving.command:command"}
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=False))
@click.option("--from", "kind", type=click.Choice(_KINDS), help="What the files are.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the new file here instead of to standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite the file named by -o.")
@click.option("--formation", default="", metavar="TYPE=N,…", help="(procfile) Processes per type.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="(procfile) The first PORT.",
)
@click.option("--env", "variant", default="", metavar="NAME", help="(pm2) Take env_NAME as well.")
@click.option("--json", "as_json", is_flag=True, help="The new file and the report as JSON.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Turn another supervisor's configuration into a chapiteau.toml.

    Reads circus.ini, supervisord.conf, Procfile, PM2 ecosystem files, process-compose.yaml and
    systemd units; files that they include, and units beside them, are read too. The report on
    standard error names every setting that changed or was lost. Exit code 7: something was lost.

    \b
    chapiteau import circus.ini                      look at it first
    chapiteau import circus.ini -o chapiteau.toml    write it
    chapiteau import web.service worker.service      several units together
    """
    from chapiteau.run.commands.importing.files import read_sources
    from chapiteau.run.commands.importing.report import tell, with_place, write
    from chapiteau.run.logic.imports.kinds import KINDS

    output, as_json = given["output"], given["as_json"]
    choices = _choices(given["formation"], given["port"], given["variant"])
    kind, sources = read_sources(given["files"], given["kind"])
    made = with_place(KINDS[kind](sources, choices), given["files"], output)
    write(made, sources, output, force=given["force"], as_json=as_json)
    if not as_json:
        tell(made, sources, output)
    if made.lost:
        ctx.exit(7)


def _choices(formation: str, port: int, variant: str) -> "Choices":
    import os

    from chapiteau.core.errors import UsageError
    from chapiteau.run.commands.importing.files import beside
    from chapiteau.run.logic.imports.procfile import parse_formation
    from chapiteau.run.logic.imports.reading.source import Choices

    try:
        counts = parse_formation(formation) if formation else {}
    except ValueError as exc:
        raise UsageError(f"--formation: {exc}", hint="write for example web=2,worker=1") from None
    return Choices(
        beside=beside, formation=counts, port=port, variant=variant, cpus=os.cpu_count() or 1
    )
