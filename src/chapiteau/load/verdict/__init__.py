"""Verdict of load."""
