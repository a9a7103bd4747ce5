"""What people say to a running test, and what it makes of it."""
