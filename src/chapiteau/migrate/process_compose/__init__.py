"""process-compose.yaml → chapiteau.toml."""
