"""Which script a result came of."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from chapiteau.load.workers.documents import source_digest
from chapiteau.load.workers.plan import DocumentSource, FileSource, UrlSource


def test_a_scenario_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "load.py"
    path.write_bytes(b"# one\n")
    source = FileSource(str(path))
    assert source_digest(source) == sha256(b"# one\n").hexdigest()
    path.unlink()
    assert source_digest(source) == ""


def test_a_document_is_known_by_its_text() -> None:
    assert (
        source_digest(DocumentSource(kind="openapi", text="é")) == sha256("é".encode()).hexdigest()
    )


def test_a_plain_url_has_none() -> None:
    assert source_digest(UrlSource("http://127.0.0.1:1/")) == ""
