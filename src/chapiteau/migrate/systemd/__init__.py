"""systemd's service and socket units → chapiteau.toml."""
