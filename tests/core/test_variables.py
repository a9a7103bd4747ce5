"""`${name}` in settings: what is known early is filled in early, the rest at spawn time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.variables import resolve, substitute, variable_names

LATER = {"service.name": "web", "process.number": "2", "socket.web.fd": "3"}


def known(name: str) -> str:
    values = {"env.HOME": "/home/a", "host.name": "h1"}
    if name in values:
        return values[name]
    raise LookupError(name)


@pytest.mark.parametrize(
    ("text", "early", "late"),
    [
        pytest.param("${env.HOME}/x", "/home/a/x", "/home/a/x", id="known early"),
        pytest.param("${service.name}", "${service.name}", "web", id="known late"),
        pytest.param("$${HOME}", "${HOME}", "${HOME}", id="escaped, of no meaning to us"),
        pytest.param("$${service.name}", "$${service.name}", "${service.name}", id="escaped late"),
        pytest.param("$HOME $$ ${", "$HOME $$ ${", "$HOME $$ ${", id="no variable at all"),
        pytest.param(
            "--fd ${socket.web.fd} on ${host.name}",
            "--fd ${socket.web.fd} on h1",
            "--fd 3 on h1",
            id="both in one",
        ),
    ],
)
def test_two_passes(text: str, early: str, late: str) -> None:
    assert resolve(text, known) == early
    assert substitute(early, LATER) == late


def test_unknown_names_are_refused_early_and_left_alone_late() -> None:
    with pytest.raises(LookupError):
        resolve("${nonsense}", known)
    assert substitute("${nonsense} ${socket.other.fd}", LATER) == "${nonsense} ${socket.other.fd}"


def test_escaped_names_are_not_used() -> None:
    assert variable_names("${a} $${b} ${c.d}") == ["a", "c.d"]


@given(st.text(alphabet="${}abservice.nm "))
def test_a_value_from_outside_is_never_read_as_a_variable(value: str) -> None:
    assert substitute(resolve("${env.X}", lambda _: value), LATER) == value
