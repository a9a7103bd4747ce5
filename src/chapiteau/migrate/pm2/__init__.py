"""PM2's ecosystem file (JSON, YAML, or JavaScript literals) → chapiteau.toml."""
