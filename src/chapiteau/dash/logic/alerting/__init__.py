"""Who hears of the fleet's problems, when, and when they are over."""
