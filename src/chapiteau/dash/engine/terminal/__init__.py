"""Where a terminal gets the fleet from: the supervisor of this machine, or a running hub."""
