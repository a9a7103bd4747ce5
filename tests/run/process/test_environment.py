"""Who has the last word about an environment variable."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.secret import Secret
from chapiteau.run.config.spec import SecretRef, Service
from chapiteau.run.process.environment import (
    merge_environment,
    parse_env_file,
    secret_variables,
    without,
)


def service(**settings: object) -> Service:
    return Service(command="x", **settings)  # type: ignore[arg-type]


def test_what_comes_later_wins() -> None:
    made = merge_environment(
        service(env={"D": "env", "E": "env"}),
        inherited={"A": "inherited", "B": "inherited", "C": "inherited", "D": "inherited"},
        account={"B": "account", "C": "account"},
        files=[{"C": "first", "D": "first"}, {"C": "second"}],
    )
    assert made == {"A": "inherited", "B": "account", "C": "second", "D": "env", "E": "env"}


def test_a_variable_that_holds_a_secret_reaches_only_who_names_it() -> None:
    named = service(env={"PASSWORD": SecretRef(env="X"), "HOME": SecretRef(env="HOME")})
    withheld = secret_variables([named, service(env={"A": SecretRef(file="a"), "B": "b"})])
    assert withheld == {"X"}
    given = without({"X": "secret", "HOME": "/home", "A": "1"}, withheld)
    secrets = {"PASSWORD": Secret("secret", ""), "HOME": Secret("/home", "")}
    made = merge_environment(named, inherited=given, secrets=secrets)
    assert made == {"PASSWORD": "secret", "HOME": "/home", "A": "1"}
    assert merge_environment(service(), inherited=given) == {"HOME": "/home", "A": "1"}


@pytest.mark.parametrize(
    "name",
    ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC", "MAINPID", "CHAPITEAU_PROCESS"],
)
def test_what_the_supervisor_was_told_about_itself_is_not_passed_on(name: str) -> None:
    assert merge_environment(service(), inherited={name: "1"}) == {}


def test_a_clean_environment_keeps_path_and_language_only() -> None:
    made = merge_environment(
        service(clean_env=True, env={"X": "1"}), inherited={"PATH": "/bin", "LANG": "C", "PW": "s"}
    )
    assert made == {"PATH": "/bin", "LANG": "C", "X": "1"}
    assert "/usr/bin" in merge_environment(service(clean_env=True), inherited={})["PATH"]


def test_a_virtualenv_comes_first_in_path() -> None:
    made = merge_environment(
        service(virtualenv="/venv"), inherited={"PATH": "/bin", "PYTHONHOME": "/odd"}
    )
    assert made == {"PATH": "/venv/bin:/bin", "VIRTUAL_ENV": "/venv"}


def test_a_relative_virtualenv_is_in_the_given_folder() -> None:
    made = merge_environment(
        service(virtualenv="venv"), inherited={"PATH": "/bin"}, folder=Path("/srv/shop")
    )
    assert made == {"PATH": "/srv/shop/venv/bin:/bin", "VIRTUAL_ENV": "/srv/shop/venv"}


def test_secrets_and_spawn_time_values_are_filled_in() -> None:
    made = merge_environment(
        service(env={"PW": SecretRef(file="pw"), "WHO": "${service.name}.${process.number}"}),
        inherited={},
        secrets={"PW": Secret("hush")},
        values={"service.name": "web", "process.number": "2"},
    )
    assert made == {
        "PW": "hush",
        "WHO": "web.2",
        "CHAPITEAU_SERVICE": "web",
        "CHAPITEAU_PROCESS": "2",
    }


def test_sockets_are_announced_as_systemd_does() -> None:
    made = merge_environment(service(), inherited={}, sockets=["web", "admin"])
    assert made == {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("A=b", "b", id="plain"),
        pytest.param("  export A = b c  ", "b c", id="export and spaces"),
        pytest.param("A=", "", id="empty"),
        pytest.param("A=b # why", "b", id="a comment behind a value"),
        pytest.param("A=b#c", "b#c", id="no comment without a space"),
        pytest.param("A='$x \\n #'", "$x \\n #", id="single quotes keep all"),
        pytest.param('A="a\\nb\\"c\\\\" # why', 'a\nb"c\\', id="double quotes know escapes"),
        pytest.param("A=b=c", "b=c", id="an equals sign in the value"),
        pytest.param('A="-- x\n# y\n-- z" # why', "-- x\n# y\n-- z", id="over several lines"),
        pytest.param("A='b\r\nB=c'", "b\nB=c", id="over several lines as they stand"),
    ],
)
def test_lines_of_an_env_file(line: str, value: str) -> None:
    assert parse_env_file(f"# head\n\n{line}\n") == {"A": value}


@pytest.mark.parametrize("line", ["A", "=b", "1A=b", 'A="b', "A='b' c"])
def test_bad_lines_are_told_by_number(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_env_file(f"OK=1\n{line}\n")


def test_the_line_of_an_error_counts_those_within_quotes() -> None:
    with pytest.raises(ValueError, match="line 4"):
        parse_env_file('A="1\n2\n3"\nB\n')


@given(
    st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(alphabet="ab '$#=\n"))
)
def test_quoted_values_come_back_as_they_were(values: dict[str, str]) -> None:
    quoted = {k: v.replace("\\", "\\\\").replace('"', '\\"') for k, v in values.items()}
    text = "\n".join(f'{name}="{value}"' for name, value in quoted.items())
    assert parse_env_file(text) == values
