"""The JSON Schema accepts what the reader accepts, and refuses what it refuses."""

import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chapiteau.run.config.load import config_schema, read_spec

SCHEMA = config_schema()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('[service.web]\ncommand = "x"\nprocesses = 2', id="a service"),
        pytest.param('[service.web]\ncommand = ["x"]\nstop_timeout = 5', id="lists and numbers"),
        pytest.param('[service.web]\ncommand = "x"\nenv.A = {file = "a"}', id="a secret"),
        pytest.param("[socket.web]\nport = 1\n[log]\nkeep = 3", id="socket and log"),
        pytest.param('[service.web]\ncommand = "x"\nprocesess = 2', id="a typo"),
        pytest.param('[service.web]\ncommand = "x"\nprocesses = "2"', id="a wrong type"),
        pytest.param('[socket.web]\ntype = "strem"', id="a wrong choice"),
        pytest.param("[plugin.a]", id="a missing setting"),
    ],
)
def test_schema_and_reader_agree(text: str) -> None:
    raw: dict[str, Any] = tomllib.loads(text)
    by_schema = list(Draft202012Validator(SCHEMA).iter_errors(raw))
    _, by_reader = read_spec(raw)
    assert bool(by_schema) == bool(by_reader)
