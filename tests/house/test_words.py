"""Refused words stand nowhere, and the check itself can fail."""

from pathlib import Path

import pytest

from tests.support import ROOT
from tools.words import NAMES, REMAINDER, refused


def test_no_refused_word_is_left() -> None:
    assert refused(ROOT) == []


def test_the_remainder_names_refused_words_only() -> None:
    assert set(REMAINDER) <= NAMES
    assert all(count > 0 for count in REMAINDER.values())


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("src/chapiteau/run/shelf.py", "", "src/chapiteau/run/shelf.py: module shelf"),
        ("src/chapiteau/a.py", "class Crowd: ...", "src/chapiteau/a.py: class Crowd"),
        ("src/chapiteau/a.py", "def conduct(): ...", "src/chapiteau: conduct: 1 times, at most 0"),
        (
            "src/chapiteau/a.py",
            "class A:\n    def b(self, *, deed): ...",
            "src/chapiteau: deed: 1 times, at most 0",
        ),
        ("docs/how-to/a.md", "Know thyself.", "docs/how-to/a.md: 'Know thyself'"),
    ],
)
def test_a_refused_word_is_found(tmp_path: Path, file: str, text: str, found: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert refused(tmp_path) == [found]


def test_what_is_private_may_be_called_anything(tmp_path: Path) -> None:
    (tmp_path / "src/chapiteau").mkdir(parents=True)
    (tmp_path / "src/chapiteau/a.py").write_text("class _Crowd: ...\ndef _tell(who): ...\n")
    assert refused(tmp_path) == []
