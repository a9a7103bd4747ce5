"""Load from several machines: where they are, what time it is there, their counts as one."""
