"""Results for people and machines: one document, several renderings of it."""
