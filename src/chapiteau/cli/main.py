"""The front door: find the command, import it, turn errors into three lines and an exit code."""

import os
import signal
import sys
from typing import Any, NoReturn

import click

from chapiteau.cli.groups import COMMANDS, SECTIONS
from chapiteau.core.errors import ChapiteauError
from chapiteau.plumbing.lazygroup import LazyGroup

__all__ = ["main", "run"]


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


def run() -> NoReturn:
    """Entry point: exit codes as in docs/reference/exit-codes.md."""
    try:
        code: Any = main(standalone_mode=False)
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except click.ClickException as exc:
        exc.show()
        code = exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 128 + signal.SIGINT
    except ChapiteauError as exc:
        _complain(exc)
        code = exc.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): leave quietly, and keep the
        # interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: ChapiteauError) -> None:
    click.secho(f"error: {error.what}", fg="red", err=True)
    if error.hint:
        click.echo(f"  → {error.hint}", err=True)
