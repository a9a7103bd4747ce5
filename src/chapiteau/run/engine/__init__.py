"""Engine of run."""
