"""The hub's HTTP face: page, JSON API, WebSocket."""
