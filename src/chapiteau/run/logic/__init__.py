"""Decisions of the supervisor: values in, values out."""
