"""What users import from chapiteau.load is there, under its present and its former names."""

import inspect

import pytest

import chapiteau.load


@pytest.mark.parametrize("name", chapiteau.load.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    found = getattr(chapiteau.load, name)

    assert inspect.ismodule(found) == (name == "auth")


def test_stage_is_a_deprecated_name_of_run_context() -> None:
    with pytest.warns(DeprecationWarning, match="RunContext"):
        assert chapiteau.load.Stage is chapiteau.load.RunContext
