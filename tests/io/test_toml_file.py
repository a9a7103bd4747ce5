"""TOML with the line of every key, and files that can't be read."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError, UsageError
from chapiteau.io.toml_file import _lines, read_toml
from tests.support import not_as_root

TEXT = """\
top = 1

[project]
name = "shop"          # a comment

[service.web]
command = "run"
env = { A = "1", B = "2" }
"quoted key" = 1
log.'mode' = "raw"

[service."odd.name"]
processes = 2
[[list]]
x = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("top",), 1),
        (("project",), 3),
        (("project", "name"), 4),
        (("service",), 6),
        (("service", "web"), 6),
        (("service", "web", "command"), 7),
        (("service", "web", "env", "B"), 8),
        (("service", "web", "quoted key"), 9),
        (("service", "web", "log", "mode"), 10),
        (("service", "odd.name", "processes"), 13),
        (("service", "web", "not there", "at all"), 6),
        (("list",), 14),
    ],
)
def test_every_key_has_its_line(file: Path, key: tuple[str, ...], line: int) -> None:
    assert read_toml(file).where(key) == f"{file}:{line}"


def test_a_key_without_a_line_is_in_the_file(file: Path) -> None:
    assert read_toml(file).where(("nothing",)) == str(file)
    assert read_toml(file).data == tomllib.loads(TEXT)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file") as caught:
        read_toml(tmp_path / "none.toml")
    assert "chapiteau new" in caught.value.hint


@not_as_root
def test_a_file_without_rights_is_refused(file: Path) -> None:
    file.chmod(0)
    with pytest.raises(RefusedError, match="may not be read") as caught:
        read_toml(file)
    assert "ls -l" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "line 1, column 1 is not UTF-8"),
        ("# \u00e9\na = '".encode() + b"\xe9'", "line 2, column 6 is not UTF-8"),
        (b"a = \n", "not valid TOML"),
    ],
)
def test_what_is_no_toml_is_a_usage_error(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UsageError, match=what):
        read_toml(tmp_path / "c.toml")


def test_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_toml(tmp_path)


def test_a_syntax_error_shows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(UsageError, match="line 2") as caught:
        read_toml(path)
    assert caught.value.hint == "line 2 reads: b = = 2"


def test_a_syntax_error_at_the_end_shows_no_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('a = """')
    with pytest.raises(UsageError) as caught:
        read_toml(path)
    assert caught.value.hint == ""


plain = st.text("abcxyz_-", min_size=1, max_size=4)


@given(st.dictionaries(plain, st.dictionaries(plain, st.integers(), max_size=3), max_size=4))
def test_every_key_that_was_written_is_found_on_its_line(tables: dict) -> None:
    text, expected = "", {}
    for table, keys in tables.items():
        text += f"[{table}]\n"
        expected[(table,)] = text.count("\n")
        for key, value in keys.items():
            text += f"  {key} = {value}\n"
            expected[(table, key)] = text.count("\n")
    assert _lines(text) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(text.encode())
    try:
        found = read_toml(path)
    except ChapiteauError as exc:
        assert str(path) in str(exc)  # noqa: PT017 — both ends are right
    else:
        assert isinstance(found.data, dict)


def test_the_mark_that_some_editors_put_first_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(path).data == {"a": 1}
