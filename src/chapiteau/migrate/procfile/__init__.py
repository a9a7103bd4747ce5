"""Procfile (with .env, .foreman and .overmind.env beside it) → chapiteau.toml."""
