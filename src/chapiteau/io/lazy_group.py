"""A group of commands that are imported only when they are asked for."""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import click

from chapiteau.core.problems import did_you_mean

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Finds its commands in `table`: name → ("module:attribute", one line of help).

    `--help` imports none of them, and a command imports only its own module: a shell's
    completion must not pay for what it does not use.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        headings: Mapping[str, Iterable[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.headings = headings or {"Commands": table}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command behind a name."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name when there is none."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            hint = self._elsewhere(ctx, args[0]) or did_you_mean(args[0], self.table)
            ctx.fail(f"no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def _elsewhere(self, ctx: click.Context, word: str) -> str:
        """Where such a command is, in a group of this one: only now they are imported."""
        groups = [name for name, (where, _) in self.table.items() if where.endswith("group")]
        for name in groups:
            group = self.get_command(ctx, name)
            if isinstance(group, LazyGroup) and word in group.table:
                return f"it is `{ctx.command_path} {name} {word}`"
        return ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each from the table: the modules stay unimported."""
        width = max(map(len, self.table), default=0)
        for heading, names in self.headings.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), self.table[name][1]) for name in names])
