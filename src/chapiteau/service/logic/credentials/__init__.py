"""Credentials as they are written: bearer tokens, names of certificates."""
