"""Workers of load."""
