"""The page takes renewed certificates by itself, and never half of them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.web.page_certificate import PageCertificate
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.test_certificates import make_page_papers


def papers(folder: Path) -> PageCertificate:
    return PageCertificate(folder / "cert.pem", folder / "key.pem", SystemClock())


def test_a_renewed_pair_is_taken_and_its_end_told(tmp_path: Path) -> None:
    make_page_papers(tmp_path, 100)
    page = papers(tmp_path)
    assert page.paper is not None
    before = page.paper.ends
    make_page_papers(tmp_path, 1000)
    page.look()
    assert page.paper is not None
    assert (page.paper.error, page.paper.ends > before + 800) == ("", True)


def test_half_of_a_pair_is_told_and_the_one_before_is_served(tmp_path: Path) -> None:
    make_page_papers(tmp_path, 100)
    page, key = papers(tmp_path), (tmp_path / "key.pem").read_bytes()
    make_page_papers(tmp_path, 1000)
    new_key = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(key)  # the certificate is new, its key is not there yet
    page.look()
    assert page.paper is not None
    assert "the ones before are served" in page.paper.error
    page.look()
    (tmp_path / "key.pem").write_bytes(new_key)
    page.look()
    assert page.paper.error == ""
    assert isinstance(page.context, ssl.SSLContext)


def test_what_can_not_be_used_at_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChapiteauError, match=r"dash\.cert, dash\.key: not usable"):
        papers(tmp_path)
