"""Delivers the fleet's problems to people and programs."""
