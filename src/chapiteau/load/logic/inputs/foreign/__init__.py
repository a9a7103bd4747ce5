"""Scenario files and settings of other load testers: what can be told without running them."""

from chapiteau.load.logic.inputs.foreign.arguments import Sent, sent
from chapiteau.load.logic.inputs.foreign.kind import Kind, foreign_kind
from chapiteau.load.logic.inputs.foreign.molotovfile import molotov_settings
from chapiteau.load.logic.inputs.foreign.ticks import shape_of_ticks

__all__ = ["Kind", "Sent", "foreign_kind", "molotov_settings", "sent", "shape_of_ticks"]
