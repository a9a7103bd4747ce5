"""What the supervisor does to the world: the keeper, the brain, pipes, probes, the control API."""
