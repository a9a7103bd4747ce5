"""Lines as JSON objects, and the level that can be seen in them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.text import detect_level
from chapiteau.run.logs.line_format import format_json
from chapiteau.run.logs.messages import LogLine

WORDS = r"trace|debug|info|notice|warn(?:ing)?|err(?:or)?|critical|fatal|panic|emerg"
ascii_text = st.text(st.characters(max_codepoint=127), max_size=260)
with_levels = st.lists(
    st.sampled_from(["INFO", "Error", "information", "err", "warn", "WARNING", " ", ":", "x", "é"])
).map("".join)


def line(text: str) -> LogLine:
    return LogLine(time=1764079200.25, service="web", process=2, stream="stderr", text=text)


@given(st.text(max_size=300) | with_levels)
def test_a_line_is_one_json_object_on_one_line(text: str) -> None:
    made = format_json(line(text), "höst")
    assert "\n" not in made
    found = json.loads(made)
    level = found.pop("level", "")
    own = found.pop("fields", None)
    assert found.pop("message", text) == text
    assert own is None or json.loads(text) == own
    assert level == detect_level(text)
    assert found == {
        "time": "2025-11-25T14:00:00.250Z",
        "node": "höst",
        "service": "web",
        "process": 2,
        "stream": "stderr",
    }


def test_a_line_that_is_an_object_keeps_its_keys() -> None:
    found = json.loads(format_json(line('{"level": "error", "took": 1.5, "name": "Zoë"}'), "n"))
    assert found["fields"] == {"level": "error", "took": 1.5, "name": "Zoë"}
    assert found["level"] == "error"
    assert "message" not in found
    assert json.loads(format_json(line('{"cut": '), "n"))["message"] == '{"cut": '


@given(ascii_text | with_levels)
def test_the_level_is_the_first_word_for_one(text: str) -> None:
    match = re.search(rf"\b({WORDS})\b", text[:200], re.IGNORECASE)
    assert detect_level(text) == (match[1].lower() if match else "")


@pytest.mark.parametrize(
    ("text", "level"),
    [("12:00 WARNING disk", "warning"), ("informed", ""), ("x" * 200 + " error", ""), ("", "")],
)
def test_levels(text: str, level: str) -> None:
    assert detect_level(text) == level
