"""Names of signals as their numbers, all that the configuration accepts."""

from __future__ import annotations

import signal

import pytest

from chapiteau.run.system.signal_numbers import signal_number


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TERM", 15),
        ("sighup", 1),
        ("9", 9),
        ("RTMIN", signal.SIGRTMIN),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("RTMAX-2", signal.SIGRTMAX - 2),
    ],
)
def test_a_name_is_a_number(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize("name", ["", "TERMINATE", "RTMIN+x", "HUP-"])
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a signal"):
        signal_number(name)
