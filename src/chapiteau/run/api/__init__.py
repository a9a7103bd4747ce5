"""The control API: its table of routes, and what answers them."""
