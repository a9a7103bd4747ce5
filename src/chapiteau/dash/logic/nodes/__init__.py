"""Hubs and their nodes: what they say to each other, and what is kept where."""
