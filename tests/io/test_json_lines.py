"""JSON lines, however the bytes are cut on the way."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.io.json_lines import FrameError, LineReader

scalars = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text()
messages = st.dictionaries(st.text(max_size=5), scalars, max_size=4)


def reader(limit: int = 1 << 20) -> LineReader[dict]:
    return LineReader(limit, msgspec.json.Decoder(dict).decode)


@given(st.lists(messages, max_size=6), st.data())
def test_messages_survive_every_way_of_cutting(sent: list[dict], data: st.DataObject) -> None:
    wire = b"".join(json.dumps(message).encode() + b"\n" for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    lines, got = LineReader(1 << 20, json.loads), []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        got += lines.feed(wire[start:end])
    assert got == sent


def test_bytes_are_kept_when_nobody_iterates_over_the_answer() -> None:
    lines = reader()
    lines.feed(b'{"a":')
    assert list(lines.feed(b"1}\n")) == [{"a": 1}]


def test_empty_lines_are_no_messages() -> None:
    assert list(reader().feed(b'\n \r\n{"a":1}\n\n')) == [{"a": 1}]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b"7", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(FrameError, match="not a message"):
        list(reader().feed(line + b"\n"))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_above_the_limit_is_refused_whether_it_ended_or_not(end: bytes) -> None:
    with pytest.raises(FrameError, match="more than 10 bytes"):
        list(reader(10).feed(b'{"a":"' + b"x" * 10 + b'"}' + end))
