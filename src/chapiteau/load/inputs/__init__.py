"""What people already have, as load tests: documents, recordings, collections, command lines."""

__all__: list[str] = []
