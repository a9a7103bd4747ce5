"""JSON lines, however the bytes are cut on the way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.io.json_lines import FrameError, LineReader, encode_line

scalars = st.none() | st.booleans() | st.integers() | st.text()
messages = st.dictionaries(st.text(max_size=5), scalars, max_size=4)


@given(st.lists(messages, max_size=6), st.data())
def test_messages_survive_every_way_of_cutting(sent: list[dict], data: st.DataObject) -> None:
    wire = b"".join(encode_line(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    reader, got = LineReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        got += reader.feed(wire[start:end])
    assert got == [json.loads(json.dumps(message)) for message in sent]


def test_bytes_are_kept_even_when_nobody_looks_at_the_answer() -> None:
    reader = LineReader()
    reader.feed(b'{"a":')
    assert list(reader.feed(b"1}\n")) == [{"a": 1}]


def test_empty_lines_are_no_messages() -> None:
    assert list(LineReader().feed(b'\n \r\n{"a":1}\n\n')) == [{"a": 1}]


def test_one_message_is_one_line_even_with_line_breaks_inside() -> None:
    assert encode_line({"text": "a\nb"}).count(b"\n") == 1


def test_half_a_surrogate_does_not_stop_a_message() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert encode_line({"text": odd}) == b'{"text":"caf?"}\n'


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b"7", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(line: bytes) -> None:
    with pytest.raises(FrameError, match="not "):
        list(LineReader().feed(line + b"\n"))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_above_the_limit_is_refused_whether_it_ended_or_not(end: bytes) -> None:
    with pytest.raises(FrameError, match="more than 10 bytes"):
        list(LineReader(limit=10).feed(b'{"a":"' + b"x" * 10 + b'"}' + end))
