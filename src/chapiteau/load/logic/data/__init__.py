"""Data that scenarios take along, and what they pick out of answers. Values only."""
