"""What a scenario says that it needs."""

from __future__ import annotations

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.load.cluster.bootstrap import ScriptMetadata, script_metadata

BLOCK = """#!/usr/bin/env python3
# /// script
# requires-python = ">=3.12"
# dependencies = [
#   "numpy>=2",
#
#   "a b; python_version<'4'",  # a remark
# ]
# ///
import numpy
# /// script
"""


def test_packages_and_python_are_read_from_the_comment() -> None:
    assert script_metadata(BLOCK) == ScriptMetadata(
        ("numpy>=2", "a b; python_version<'4'"), ">=3.12"
    )


@pytest.mark.parametrize("text", ["", "import os\n", "# /// other\n# x = 1\n# ///\n"])
def test_without_it_nothing_is_needed(text: str) -> None:
    assert script_metadata(text) == ScriptMetadata()


@pytest.mark.parametrize(
    ("block", "what"),
    [
        ("# dependencies = [", "is no TOML"),
        ('# dependencies = "numpy"', "is no list of texts"),
        ("# dependencies = [1]", "is no list of texts"),
    ],
)
def test_a_broken_block_is_told(block: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        script_metadata(f"# /// script\n{block}\n# ///\n")
