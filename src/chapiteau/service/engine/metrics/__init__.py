"""Counts and times of requests: of one process, or of all processes of a service."""

from chapiteau.service.engine.metrics.metering import MeteredPlan, Metrics, metrics_service
from chapiteau.service.engine.metrics.shared import FolderTally

__all__ = ["FolderTally", "MeteredPlan", "Metrics", "metrics_service"]
