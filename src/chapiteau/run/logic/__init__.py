"""Logic of run."""
