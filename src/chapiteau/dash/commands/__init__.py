"""`chapiteau dash …`: the page."""

from chapiteau.dash.commands.dash import group

__all__ = ["group"]
