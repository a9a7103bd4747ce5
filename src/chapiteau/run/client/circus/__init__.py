"""The Circus bridge: Circus's ZMQ protocol, spoken by a plugin of ours."""
