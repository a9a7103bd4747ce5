"""A command for files that also has named kinds."""

import importlib
from typing import Any

import click

__all__ = ["ImportCommand"]


class ImportCommand(click.Command):
    """A command for files that also has named kinds: `chapiteau import cornice PATH`.

    `others` maps a word to "module:attribute" of a click command. To add one, put a line there;
    it is imported only when the word is the first argument. A file of that name is `./NAME`.
    """

    def __init__(self, *args: Any, others: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = others or {}

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
        if self.others:
            with formatter.section("Kinds with a command of their own"):
                formatter.write_dl([(name, f"chapiteau import {name} -h") for name in self.others])
