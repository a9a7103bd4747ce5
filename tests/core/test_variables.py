"""`${name}` in settings: filled once, in two steps, and never twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.variables import fill, names_in, resolve

KNOWN = {"env.A": "one", "env.EVIL": "${socket.web.fd} ${env.A}"}


def known(name: str) -> str:
    if name not in KNOWN:
        raise LookupError(f"{name} is not known")
    return KNOWN[name]


def both(text: str) -> str:
    return fill(resolve(text, known), {"socket.web.fd": "3", "service.name": "web"})


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("plain $5 {x}", "plain $5 {x}"),
        ("${env.A}-${socket.web.fd}", "one-3"),
        ("${service.name}", "web"),
        ("$${env.A}", "${env.A}"),
        ("$${socket.web.fd}", "${socket.web.fd}"),
        ("${process.number}", "${process.number}"),
        ("${env.EVIL}", "${socket.web.fd} ${env.A}"),
    ],
)
def test_names_are_filled_when_they_are_known(text: str, done: str) -> None:
    assert both(text) == done


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(LookupError, match=r"env\.B is not known"):
        resolve("${env.B}", known)


def test_the_names_in_a_text_are_listed_without_escaped_ones() -> None:
    assert names_in("${a} $${b} ${c.d}") == ["a", "c.d"]


@given(st.text("${}.abc", max_size=20))
def test_a_value_from_outside_is_never_read_as_a_variable(value: str) -> None:
    assert fill(resolve("${env.X}", lambda _name: value), {"service.name": "web"}) == value
