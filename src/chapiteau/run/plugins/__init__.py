"""The shipped plugins, and what finds and runs any plugin."""
