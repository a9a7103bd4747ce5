"""Options that several commands share."""

from pathlib import Path

import click

__all__ = ["CONFIG"]

CONFIG = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    help="The project's file. Default: chapiteau.toml here or in a folder above.",
)
