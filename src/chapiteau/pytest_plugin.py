"""Fixtures for the tests of projects that use Chapiteau; pytest finds them by itself.

Nothing of Chapiteau is imported before a test asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chapiteau.core.clock import ManualClock

__all__ = ["manual_clock"]


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when the test says so."""
    from chapiteau.core.clock import ManualClock

    return ManualClock()
