"""Circus's words: its answers, options and topics, made from ours."""
