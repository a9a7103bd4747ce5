"""An application that can't be built says what is wrong, and where in its own code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.service.errors import AppError, DeclarationError
from chapiteau.service.server.load_app import load_app

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
from pyramid.config import Configurator
from chapiteau.service import Service

def divide():
    return 1 / 0

def declare():
    config = Configurator()
    config.include("chapiteau.service")
    for name in "ab":
        service = Service(name, "/x")
        service.add("GET", lambda: 1)
        config.add_service(service)
    return config.make_wsgi_app()
"""


@pytest.mark.parametrize(
    ("name", "source", "kind", "words", "hint"),
    [
        ("broken_syntax", "def make(:", AppError, "SyntaxError", "broken_syntax.py:1"),
        ("broken_import", "1 / 0", AppError, "ZeroDivisionError", "broken_import.py:1: 1 / 0"),
        ("broken_divide", SOURCE, AppError, "division by zero", "py:6: return 1 / 0"),
        ("broken_declare", SOURCE, DeclarationError, "have one path", "into one Service"),
    ],
)
def test_what_is_wrong_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str,
    kind: type[ChapiteauError], words: str, hint: str,
) -> None:  # fmt: skip
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=words) as told:
        load_app(f"{name}:{name.partition('_')[2]}", folder=tmp_path)
    assert hint in told.value.hint
    sys.modules.pop(name, None)
