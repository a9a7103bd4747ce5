"""Lines of output: their level and how they are written."""
