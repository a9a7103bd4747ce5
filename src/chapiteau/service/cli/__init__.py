"""`chapiteau service …` and `chapiteau new`: every command in a module of its own."""
