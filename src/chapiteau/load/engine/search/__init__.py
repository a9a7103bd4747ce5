"""Carries out a capacity search, at one size of the service or at several."""
