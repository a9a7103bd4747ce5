"""`chapiteau dash …`: the page."""

from chapiteau.dash.cli.dash import group

__all__ = ["group"]
