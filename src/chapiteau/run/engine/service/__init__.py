"""Processes of a service: their life, their readiness, their replacement."""
