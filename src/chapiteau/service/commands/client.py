"""`service client`: a typed client written from a document."""

import sys
from pathlib import Path

import click

from chapiteau.service.commands.document import document_of

__all__ = ["client"]


@click.command()
@click.argument("source", metavar="MODULE:FACTORY|FILE.json|URL")
@click.option("--language", type=click.Choice(["python", "typescript"]), default="python")
@click.option("--name", default="Client", show_default=True, help="Name of the class.")
@click.option("--api-version", default="", help="A version of the API; the default one otherwise.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write this file.")
def client(source: str, language: str, name: str, api_version: str, output: Path | None) -> None:
    """Write a typed client: Python (sync and async, standard library) or TypeScript (fetch)."""
    from chapiteau.service.logic.clients import python_client, typescript_client

    write = python_client if language == "python" else typescript_client
    text = write(document_of(source, version=api_version), name=name)
    if output is None:
        sys.stdout.write(text)
        return
    from chapiteau.io.files import write_atomic

    write_atomic(output, text.encode())
