"""Requests that services count themselves: out of their own figures, for charts."""
