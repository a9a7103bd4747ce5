"""Process of run."""
