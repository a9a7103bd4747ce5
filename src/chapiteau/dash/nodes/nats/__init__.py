"""Hubs and nodes that meet at a NATS server: the same contract, outgrown."""
