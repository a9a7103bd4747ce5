"""`chapiteau dash user add | remove | list`."""

import sys
from pathlib import Path

import click

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.dash.commands.options import CONFIG
from chapiteau.plumbing.console import print_json

__all__ = ["user"]

_SHORTEST = 10


@click.group()
def user() -> None:
    """Who may log in to the dashboard, and what they may do."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="viewer",
    show_default=True,
    help="viewer sees, operator also acts, admin may do everything.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@CONFIG
def add(name: str, role: str, password_stdin: bool, config: Path | None) -> None:
    """Add an account, or change its password and role."""
    from chapiteau.dash.engine.passwords import hash_password
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.engine.store import Store
    from chapiteau.dash.logic.access import Role
    from chapiteau.plumbing.clock import SystemClock

    project = read_project(config)
    if not name.isprintable() or not name.strip() or len(name) > 64:
        raise UsageError(f"not a name: {name!r}", hint="1 to 64 printable characters")
    password = _password(password_stdin)
    store = Store(project.store)
    try:
        store.keep_account(
            name, int(Role[role.upper()]), hash_password(password), SystemClock().wall()
        )
    finally:
        store.close()
    click.echo(f"{name} may log in as {role}", err=True)


@user.command()
@click.argument("name")
@CONFIG
def remove(name: str, config: Path | None) -> None:
    """Remove an account; a running dashboard forgets its sessions within a minute."""
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.engine.store import Store

    store = Store(read_project(config).store)
    try:
        if not store.drop_account(name):
            raise NotFoundError(
                f"there is no account {name!r}", hint="see chapiteau dash user list"
            )
    finally:
        store.close()


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@CONFIG
def list_users(as_json: bool, config: Path | None) -> None:
    """Every account and its role."""
    from chapiteau.core.text import table
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.engine.store import Store
    from chapiteau.dash.logic.access import Role

    store = Store(read_project(config).store)
    rows = [(name, Role(role).name.lower()) for name, role in store.accounts()]
    store.close()
    if as_json:
        print_json({"accounts": [{"name": name, "role": role} for name, role in rows]})
    elif rows:
        click.echo(table(rows, ("NAME", "ROLE")))
    else:
        click.echo("no accounts: chapiteau dash user add NAME --role admin", err=True)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        raise UsageError("no terminal to ask for a password", hint="pass --password-stdin")
    if len(password) < _SHORTEST:
        raise UsageError(f"a password has {_SHORTEST} characters or more")
    return password
