"""Connections on which more than one answer comes: WebSocket, server-sent events."""
