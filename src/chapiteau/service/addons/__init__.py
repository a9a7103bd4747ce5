"""Counts and times of requests: of one process, or of all processes of a service."""

from chapiteau.service.addons.metrics import MeteredPlan, Metrics, metrics_service
from chapiteau.service.addons.redis_stores import RedisRates, RedisStore
from chapiteau.service.addons.shared_metrics import SharedMetrics

__all__ = ["MeteredPlan", "Metrics", "RedisRates", "RedisStore", "SharedMetrics", "metrics_service"]
