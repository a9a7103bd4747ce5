"""Services whose truth is known, to try load tests on: queues, stalls, leaks, breakdowns."""

from chapiteau.load.testing.models import (
    Leaking,
    Metastable,
    Model,
    Queue,
    Scaling,
    Stalling,
    mmc_capacity,
    model_of,
)
from chapiteau.load.testing.simulation import Simulation, simulated_batches, simulated_search
from chapiteau.load.testing.target import Target

__all__ = [
    "Leaking",
    "Metastable",
    "Model",
    "Queue",
    "Scaling",
    "Simulation",
    "Stalling",
    "Target",
    "mmc_capacity",
    "model_of",
    "simulated_batches",
    "simulated_search",
]
