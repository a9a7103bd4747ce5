"""Bytes of long answers: WebSocket frames and server-sent events."""
