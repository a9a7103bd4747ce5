"""What runs for every request: one contract, two twins (plain Python and compiled)."""
