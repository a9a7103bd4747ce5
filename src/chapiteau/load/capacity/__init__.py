"""The search for a capacity: what to try next, what a step has shown, what it all means."""
