"""The whole command line, as click sees it."""

import click

from chapiteau.cli.groups import COMMANDS, SECTIONS
from chapiteau.io.lazy_group import LazyGroup

__all__ = ["main"]


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "obj": SECTIONS},
    epilog="Settings of chapiteau.toml, exit codes and guides: see docs/.",
)
@click.version_option(package_name="chapiteau", prog_name="chapiteau")
def main() -> None:
    """Build, deploy and run web services in Python, and prove that they scale.

    \b
    chapiteau up                  start what chapiteau.toml says, logs in colour
    chapiteau status              what runs, and what is wrong
    chapiteau load capacity URL   how much does it carry within its objective?
    """
