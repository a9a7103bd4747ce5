"""Readers of the foreign formats: text to values with the line of each."""
