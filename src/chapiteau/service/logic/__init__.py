"""Decisions of the service wing: values in, values out."""
