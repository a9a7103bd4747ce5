"""Words and names around credentials: challenges, tokens, subjects of certificates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.auth.certificates import parse_subject
from chapiteau.service.auth.schemes import bearer_challenge, bearer_token, is_token


def test_a_challenge_holds_no_quote_and_no_line_end() -> None:
    assert bearer_challenge("a") == 'Bearer realm="a"'
    told = bearer_challenge("a", error="invalid_token", description='x"\r\nSet-Cookie: é\\')
    assert told == 'Bearer realm="a", error="invalid_token", error_description="x???Set-Cookie: ??"'
    assert bearer_challenge("a", scopes=["r", "w"]) == 'Bearer realm="a", scope="r w"'


def test_tokens() -> None:
    assert bearer_token("Bearer abc") == bearer_token("bEARER  abc ") == "abc"
    for header in ("", "Bearer", "Bearer ", "Basic abc", "Bearerabc"):
        assert bearer_token(header) is None
    assert is_token("a.b-c_d~e+f/g==")
    assert not any(is_token(text) for text in ("", "a b", "=", "é", 'a"', "a\n"))


def test_subjects() -> None:
    assert parse_subject(r"CN=ann,O=Acme\, Inc, c=FR") == (
        ("CN", "ann"), ("O", "Acme, Inc"), ("C", "FR"),
    )  # fmt: skip
    assert parse_subject(r"CN=L\C3\A9a+UID=7") == (("CN", "Léa"), ("UID", "7"))
    assert parse_subject("/O=Acme/CN=ann") == parse_subject("CN=ann,O=Acme")
    assert parse_subject(r"CN=a\=b") == (("CN", "a=b"),)
    for bad in ("", "ann", "=ann", "CN=ann,", "CN=a\\"):
        with pytest.raises(ValueError):  # noqa: PT011 — UnicodeError is one too
            parse_subject(bad)
    with pytest.raises(ValueError):  # noqa: PT011
        parse_subject(r"CN=\FF")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1))
def test_what_is_escaped_comes_back(values: list[str]) -> None:
    def escaped(text: str) -> str:
        return "".join(f"\\{byte:02x}" for byte in text.encode())

    text = ",".join(f"CN={escaped(value)}" for value in values)
    assert parse_subject(text) == tuple(("CN", value) for value in values)
