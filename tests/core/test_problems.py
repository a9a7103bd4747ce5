"""All problems at once, each with its place; the nearest known word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.problems import (
    InvalidInputError,
    Problem,
    _distance,
    did_you_mean,
    raise_problems,
)


def test_a_problem_says_where_what_and_what_to_do() -> None:
    problem = Problem("file:3", "is wrong", "make it right")
    assert str(problem) == "file:3: is wrong\n    make it right"
    assert str(Problem("", "is wrong")) == "is wrong"
    assert problem.to_dict() == {"where": "file:3", "what": "is wrong", "hint": "make it right"}


def test_all_problems_are_raised_together() -> None:
    with pytest.raises(InvalidInputError) as caught:
        raise_problems("chapiteau.toml", [Problem("a", "x"), Problem("b", "y")])
    assert str(caught.value) == "chapiteau.toml: 2 problems\n  a: x\n  b: y"
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == 2


def test_one_problem_is_said_in_the_singular() -> None:
    with pytest.raises(InvalidInputError, match="f: 1 problem\n"):
        raise_problems("f", iter([Problem("a", "x")]))


def test_no_problem_raises_nothing() -> None:
    raise_problems("f", [])


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("comand", ["command", "cwd"], "did you mean 'command'?"),
        ("COMMAND", ["command", "cwd"], "did you mean 'command'?"),
        ("zzzz", ["b", "a"], "known: a, b"),
        ("zzzz", [], ""),
        ("zzzz", [f"name{i:02}" for i in range(30)], ", …"),
    ],
)
def test_the_nearest_known_word_or_the_list_is_given(
    word: str, known: list[str], hint: str
) -> None:
    assert did_you_mean(word, known).endswith(hint)


short = st.text("abAB", max_size=6)


@given(short, short, short)
def test_the_distance_is_a_distance(a: str, b: str, c: str) -> None:
    assert _distance(a, b) == _distance(b, a)
    assert (_distance(a, b) == 0) == (a.casefold() == b.casefold())
    assert _distance(a, c) <= _distance(a, b) + _distance(b, c)
    assert abs(len(a) - len(b)) <= _distance(a, b) <= max(len(a), len(b))
