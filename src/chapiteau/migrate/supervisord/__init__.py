"""supervisord.conf → chapiteau.toml."""
