"""`service diff OLD NEW`: which changes break clients."""

import click

from chapiteau.core.errors import GateFailedError
from chapiteau.io.console import print_json
from chapiteau.service.commands.document import document_of
from chapiteau.service.logic.document.diff import compare

__all__ = ["diff"]


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def diff(old: str, new: str, as_json: bool) -> None:
    """Compare two documents (JSON files, addresses or MODULE:FACTORY).

    Ends with 8 when a client written for OLD could break with NEW.

    \b
    chapiteau service diff https://shop.example/openapi.json shop:make
    """
    changes = compare(document_of(old), document_of(new))
    if as_json:
        print_json([change.to_dict() for change in changes])
    else:
        for change in changes:
            click.echo(str(change))
    breaking = sum(change.breaking for change in changes)
    if breaking:
        raise GateFailedError(
            f"{breaking} breaking change{'' if breaking == 1 else 's'}",
            hint="keep the old operation beside the new one, or publish a new version",
        )
    if not changes and not as_json:
        click.echo("no change")
