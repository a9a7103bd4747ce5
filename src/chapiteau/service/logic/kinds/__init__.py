"""Types of handlers, whichever library they come from: their fields, their schemas, examples."""
