"""Configurations of other supervisors, turned into chapiteau.toml."""
