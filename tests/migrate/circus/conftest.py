"""Whole supervisors for the tests of the bridge and of Circus's plugins."""

from tests.run.conftest import project

__all__ = ["project"]
