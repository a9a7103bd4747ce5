"""Locust files of the common kind, run in threads over our own engine."""

from chapiteau.migrate.locust.suite import load_locust, locust_shape

__all__ = ["load_locust", "locust_shape"]
