"""A finished answer says the same, whoever takes it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.errors import DeclarationError
from chapiteau.service.pipeline.reply import HeaderTemplate, RawHeaderWriter, Reply

USUAL = HeaderTemplate(
    "application/json", [("X-Content-Type-Options", "nosniff"), ("Vary", "Accept")]
)
GET = {"REQUEST_METHOD": "GET"}


class Line(RawHeaderWriter):
    """The worker's end."""

    text = ""

    def take(self, status: str, lines: str) -> None:
        self.text = f"{status}\r\n{lines}"


class List:
    """Any other server's, or a middleware's."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def __call__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers


@given(body=st.binary(max_size=300), own=st.from_regex(r"[A-Za-z0-9._:+/=-]{1,64}", fullmatch=True))
def test_text_and_list_say_the_same(body: bytes, own: str) -> None:
    line, listed = Line(), List()
    assert list(Reply("200 OK", None, body, USUAL, own)(GET, line)) == [body]
    assert list(Reply("200 OK", None, body, USUAL, own)(GET, listed)) == [body]
    assert line.text == listed.status + "\r\n" + "".join(f"{n}: {v}\r\n" for n, v in listed.headers)
    assert dict(listed.headers)["Content-Length"] == str(len(body))


def test_what_is_added_is_never_lost() -> None:
    line, called = Line(), []

    class Both(Line):
        def __call__(self, _status: str, headers: list[tuple[str, str]]) -> None:
            called.append(headers)

    reply = Reply("200 OK", None, b"{}", USUAL, "own")
    reply.headers.append(("ETag", '"1"'))
    reply(GET, Both())
    assert line.text == ""
    assert ("ETag", '"1"') in called[0]


def test_a_changed_list_belongs_to_one_answer() -> None:
    Reply("200 OK", None, b"", USUAL, "a").headers.append(("X-More", "1"))
    assert ("X-More", "1") not in Reply("200 OK", None, b"", USUAL, "b").headers


@pytest.mark.parametrize("value", ["a\nSet-Cookie: b", "a\rb", "a\0b"])
def test_a_header_that_would_forge_others_is_refused_when_it_is_declared(value: str) -> None:
    with pytest.raises(DeclarationError, match="X-Odd"):
        HeaderTemplate("application/json", [("X-Odd", value)])


def test_answers_are_compared_as_what_they_are() -> None:
    same: list[Any] = [Reply("200 OK", [], b""), Reply("200 OK", [], b"")]
    assert same[0] != same[1]
    assert repr(same[0]) == "<Reply 200 OK 0 bytes>"
