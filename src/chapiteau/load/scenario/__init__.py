"""What a scenario may take to hand: rows of data, ways to log in."""
