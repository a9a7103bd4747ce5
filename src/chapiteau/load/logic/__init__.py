"""Decides what to send and when, and what the answers mean; never does it."""
