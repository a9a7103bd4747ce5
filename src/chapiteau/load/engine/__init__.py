"""Puts load on a service: sockets, processes, files."""
