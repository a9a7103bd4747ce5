"""Values and arithmetic that every wing stands on: standard library only, no I/O, no clock."""
