"""Load from several machines: a relay on each runs the same load processes as here."""
