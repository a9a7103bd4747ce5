"""circus.ini → chapiteau.toml."""
