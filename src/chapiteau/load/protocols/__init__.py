"""HTTP as values: answers from bytes, cookies, bodies."""
