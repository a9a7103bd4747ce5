"""Locust files of the common kind, run in threads over our own engine."""
