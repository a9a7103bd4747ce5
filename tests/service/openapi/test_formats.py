"""A document as YAML reads back as the same value."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.openapi.formats import to_yaml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),  # noqa: E501
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_yaml_reads_back_as_the_same_value(value: dict[str, object]) -> None:
    assert yaml.safe_load(to_yaml(value)) == value
