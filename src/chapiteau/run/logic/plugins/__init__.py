"""What the shipped plugins decide, without doing it; and their settings."""
