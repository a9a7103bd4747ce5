"""What is said to a running test is read whole, or left out."""

from __future__ import annotations

from msgspec.structs import replace

from chapiteau.load.execution.control import (
    ControlMessage,
    all_marks,
    format_message,
    marks,
    parse_messages,
    stopped_by,
)
from chapiteau.load.report.html import as_html
from chapiteau.load.report.result import Mark
from tests.load.report.test_report import made, served


def test_what_was_said_is_read_and_torn_lines_are_not() -> None:
    said = [
        ControlMessage(time=12.0, what="mark", who="ana", text="cache\nemptied"),
        ControlMessage(time=11.0, what="mark", who="bob", text="<b>"),
        ControlMessage(time=14.0, what="stop", who="ana"),
    ]
    text = "".join(map(format_message, said))
    assert list(parse_messages(text)) == said
    assert list(parse_messages(text[:-5])) == said[:2]
    huge = format_message(said[2]).replace('"users":0', '"users":1e999')
    assert list(parse_messages("{}\n[1]\nnull\n" + huge)) == []
    more = ControlMessage(time=15.0, what="add", who="ana", users=50)
    assert list(parse_messages(format_message(more))) == [more]
    assert marks(said, 10.0) == [
        Mark(1.0, "bob", "<b>"),
        Mark(2.0, "ana", "cache\nemptied"),
    ]
    assert stopped_by(said) == "ana"
    assert stopped_by(said[:2]) == ""


def test_marks_stand_in_the_charts_and_are_only_text() -> None:
    document = replace(made(served(30)), marks=[Mark(2.0, "ana", "<script>")])
    html = as_html(document)
    assert html.count("<title>&lt;script&gt; (ana)</title>") >= 2
    assert "◆ 0:02 &lt;script&gt; (ana)" in html
    assert "<title><script>" not in html


def test_a_machine_that_was_lost_marks_the_moment() -> None:
    said = [ControlMessage(time=12.0, what="mark", who="ana", text="cache emptied")]
    assert all_marks(said, 10.0, {"h2": 1.5, "h3": 7.0}) == [
        Mark(1.5, "h2", "was lost"),
        Mark(2.0, "ana", "cache emptied"),
        Mark(7.0, "h3", "was lost"),
    ]
    assert all_marks([], 10.0, {}) == []
