"""The command line of `chapiteau import`."""

import importlib
import os
from pathlib import Path
from typing import Any, Final

import click

from chapiteau.core.errors import UsageError
from chapiteau.core.exit_codes import PARTIAL, exit_codes_of

__all__ = ["ImportCommand", "import_command"]

_KINDS: Final = ("circus", "supervisord", "procfile", "pm2", "process-compose", "systemd")


class ImportCommand(click.Command):
    """A command for files that also has named kinds: `chapiteau import cornice PATH`.

    `others` maps a word to "module:attribute" of a click command, imported when the word is the
    first argument. A file of that name is `./NAME`.
    """

    def __init__(self, *args: Any, others: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = others

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of a named kind, or that of this command."""
        if args and args[0] in self.others:
            module, _, name = self.others[args[0]].partition(":")
            other: click.Command = getattr(importlib.import_module(module), name)
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run what the context is for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The named kinds, below the options."""
        with formatter.section("Kinds with a command of their own"):
            formatter.write_dl([(name, f"chapiteau import {name} -h") for name in self.others])
        super().format_epilog(ctx, formatter)


@click.command(
    cls=ImportCommand,
    name="import",
    epilog=exit_codes_of("import"),
    others={"cornice": "chapiteau.migrate.cornice.command:cornice_command"},
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=False))
@click.option("--from", "kind", type=click.Choice(_KINDS), help="Kind of the files.")
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
@click.option("--json", "as_json", is_flag=True, help="Print the new file and the report as JSON.")
@click.pass_context
def import_command(ctx: click.Context, /, **given: Any) -> None:
    """Convert another supervisor's configuration to a chapiteau.toml.

    Reads circus.ini, supervisord.conf, Procfile, PM2 ecosystem files, process-compose.yaml and
    systemd units; files that they include, and units beside them, are read too. The report on
    standard error names every setting that changed or was lost.

    \b
    chapiteau import circus.ini                      look at it first
    chapiteau import circus.ini -o chapiteau.toml    write it
    chapiteau import web.service worker.service      several units together
    """
    from chapiteau.migrate.files import KINDS, nearby_files, read_sources
    from chapiteau.migrate.procfile.importer import parse_formation
    from chapiteau.migrate.report import note_moved_paths, print_report, write
    from chapiteau.migrate.source import ImportOptions

    output, as_json = given["output"], given["as_json"]
    try:
        formation = parse_formation(given["formation"]) if given["formation"] else {}
    except ValueError as exc:
        raise UsageError(f"--formation: {exc}", hint="write for example web=2,worker=1") from None
    options = ImportOptions(
        nearby=nearby_files,
        formation=formation,
        port=given["port"],
        variant=given["variant"],
        cpus=os.cpu_count() or 1,
    )
    kind, sources = read_sources(given["files"], given["kind"])
    made = note_moved_paths(KINDS[kind](sources, options), given["files"], output)
    write(made, sources, output, force=given["force"], as_json=as_json)
    if not as_json:
        print_report(made, sources, output)
    if made.of("lost"):
        ctx.exit(PARTIAL)
