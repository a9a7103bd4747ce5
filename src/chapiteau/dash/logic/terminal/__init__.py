"""What a terminal shows of the fleet."""
