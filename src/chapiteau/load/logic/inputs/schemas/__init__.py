"""Values that fit a JSON Schema: patterns, formats, shapes and whole documents' schemas."""

__all__: list[str] = []
