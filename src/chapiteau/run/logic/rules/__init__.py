"""What the settings of a chapiteau.toml must not say together."""
