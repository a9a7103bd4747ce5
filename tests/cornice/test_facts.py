"""The same applications, the same requests: `chapiteau.cornice` answers as Cornice 6.1 did.

`facts.json` was recorded with Cornice 6.1 by record.py; nothing of Cornice is needed here.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cornice.cases import load
from tests.cornice.probe import CASES, run

load()
FACTS: dict[str, list[list[Any]]] = json.loads(Path(__file__).with_name("facts.json").read_text())


def without_vary(fact: Any) -> Any:
    """Cornice never says Vary; test_mended.py tells when we do."""
    if isinstance(fact, dict) and "headers" in fact:
        return {**fact, "headers": [h for h in fact["headers"] if h[0] != "vary"]}
    return fact


def test_every_case_was_recorded() -> None:
    assert set(CASES) == set(FACTS)
    assert sum(len(rows) for rows in FACTS.values()) > 800


@pytest.mark.parametrize("name", sorted(CASES))
def test_as_cornice_did(name: str) -> None:
    found = json.loads(json.dumps(run(name, "chapiteau.cornice", "chapiteau.cornice.swagger")))
    assert [label for label, _ in found] == [label for label, _ in FACTS[name]]
    for (label, ours), (_, theirs) in zip(found, FACTS[name], strict=True):
        assert without_vary(ours) == theirs, label
