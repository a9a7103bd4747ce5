"""No secret of the command line reaches a report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.report.redaction import redact_arguments, redact_text


def test_secrets_are_hidden_and_the_rest_is_not() -> None:
    line = [
        "run", "http://joe:pw@h/", "--bearer", "t1", "--basic=joe:t2", "--api-keys", "key=t3",
        "--headers", "Authorization=t4", "--headers=X-Lang=en", "--options", "password=t5",
        "--rate", "5/s",
    ]  # fmt: skip
    assert list(redact_arguments(line)) == [
        "run", "http://•••@h/", "--bearer", "•••", "--basic=•••", "--api-keys", "key=•••",
        "--headers", "Authorization=•••", "--headers=X-Lang=en", "--options", "password=•••",
        "--rate", "5/s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"user": "ana", "password": "p\\"w"}', '{"user": "ana", "password": "•••"}'),
        ("{'access_token': 'x', 'a': 'b'}", "{'access_token': '•••', 'a': 'b'}"),
        ("Set-Cookie: sid=1; Path=/\nServer: x", "Set-Cookie: •••\nServer: x"),
        ("GET /a?api_key=17&q=x", "GET /a?api_key=•••&q=x"),
        ("Authorization was Bearer abcdef123", "Authorization was Bearer •••"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "got •••"),
        ("mail for ana.b@example.org", "mail for •••@example.org"),
        ("card 4111 1111 1111 1111", "card •••1111"),
        ("http://me:pw@host/", "http://•••@host/"),
        ("500 Server Error\nline 12, 2026-11-25", "500 Server Error\nline 12, 2026-11-25"),
    ],
)  # fmt: skip
def test_samples_lose_what_is_private_and_keep_the_rest(text: str, left: str) -> None:
    assert redact_text(text) == left
    assert redact_text(left) == left


@given(st.text(max_size=300))
def test_any_sample_is_survived(text: str) -> None:
    redact_text(text)
