"""The hub's own certificates are told in time, short ones too."""

from __future__ import annotations

import pytest

from chapiteau.dash.fleet.problems import Certificate, certificate_problems, expires_soon

DAY = 86_400.0


def paper(kind: str, left: float, life: float = 365 * DAY, error: str = "") -> Certificate:
    return Certificate(kind=kind, where="/x/cert.pem", begins=left - life, ends=left, error=error)


@pytest.mark.parametrize(
    ("kind", "life", "left", "soon"),
    [
        ("page", 365 * DAY, 15 * DAY, False),
        ("page", 365 * DAY, 13 * DAY, True),
        ("page", 6 * DAY, 2 * DAY, False),
        ("page", 6 * DAY, 1 * DAY, True),
        ("hub", 365 * DAY, 29 * DAY, True),
        ("ca", 3650 * DAY, 200 * DAY, False),
        ("ca", 3650 * DAY, 100 * DAY, True),
        ("node", 30 * DAY, 8 * DAY, False),
        ("node", 30 * DAY, 6 * DAY, True),
        ("node", 40.0, 11.0, False),
    ],
)
def test_when_it_is_time_to_tell(kind: str, life: float, left: float, soon: bool) -> None:
    assert expires_soon(kind, left - life, left, 0.0) is soon


def test_each_names_its_cure() -> None:
    papers = [paper("page", DAY), paper("hub", DAY), paper("ca", -1.0), paper("page", 100 * DAY)]
    page, hub, ca = certificate_problems("n", papers, 0.0)
    assert (page.kind, page.severity, page.node) == ("certificate", 1, "n")
    assert page.what == "the page's certificate ends in 1d"
    assert "/x/cert.pem" in page.cause
    assert "writable" in hub.cause
    assert ca.what == "the hub's CA has expired"
    assert ca.severity == 2
    assert "hub rotate" in ca.cause
    assert len({t.key for t in (page, hub, ca)}) == 3


def test_a_renewal_that_fails_is_told_long_before() -> None:
    (found,) = certificate_problems("n", [paper("hub", 300 * DAY, error="disk full")], 0.0)
    assert "can't be renewed" in found.what
    assert found.cause == "disk full"
    (late,) = certificate_problems("n", [paper("hub", -1.0, error="disk full")], 0.0)
    assert (found.severity, late.severity) == (1, 2)
