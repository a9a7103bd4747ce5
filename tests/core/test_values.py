"""The small values: errors, secrets, clocks."""

import copy
import json
import logging
import traceback

import pytest

from chapiteau.core import errors
from chapiteau.core.clock import ManualClock
from chapiteau.core.secret import Secret

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_and_what_to_do(kind: type[errors.ChapiteauError]) -> None:
    error = kind("it broke", hint="mend it")
    assert (str(error), error.what, error.hint) == ("it broke", "it broke", "mend it")
    assert kind("it broke").hint == ""


def test_each_kind_of_error_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert sorted(codes) == list(range(1, 9))


def test_a_secret_shows_nowhere() -> None:
    secret = Secret("hunter2", origin="env DB_PASSWORD")
    with pytest.raises(TypeError) as caught:
        json.dumps({"password": secret})
    seen = [
        str(secret),
        repr(secret),
        f"{secret} {secret!r} {[secret]} {Secret('hunter2')!r}",
        logging.LogRecord("n", 1, "p", 1, "%s", (secret,), None).getMessage(),
        "".join(traceback.format_exception(caught.value)),
    ]
    assert not any("hunter2" in text for text in seen)
    assert "env DB_PASSWORD" in repr(secret)
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a", origin="file x")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert copy.deepcopy(Secret("a")) == Secret("a")


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(now=5.0, wall=1000.0)
    assert (clock.now(), clock.wall()) == (5.0, 1000.0)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (7.5, 1002.5)
