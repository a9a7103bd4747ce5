"""Tells others of a running test: monitoring systems while it runs, people when it has ended."""
