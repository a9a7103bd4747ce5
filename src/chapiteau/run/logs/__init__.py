"""Output of processes: pipes, files, rotation, the last lines of each."""
