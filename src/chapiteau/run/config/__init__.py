"""Config of run."""
