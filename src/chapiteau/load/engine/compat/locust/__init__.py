"""Locust files of the common kind, run in threads over our own engine."""

from chapiteau.load.engine.compat.locust.play import play_of_locust, shape_of_locust

__all__ = ["play_of_locust", "shape_of_locust"]
