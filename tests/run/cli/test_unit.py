"""A systemd unit that systemd understands, whatever the project is called."""

from dataclasses import replace

import pytest

from chapiteau.run.cli.unit import UnitFacts, systemd_unit

FACTS = UnitFacts(
    project="shop",
    config="/srv/shop/chapiteau.toml",
    folder="/srv/shop",
    program="/srv/shop/.venv/bin/chapiteau",
    stop_deadline=60,
)


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_systemd_starts_the_keeper_itself_and_waits_for_its_word() -> None:
    unit = values(systemd_unit(FACTS))
    assert unit["ExecStart"] == (
        "/srv/shop/.venv/bin/chapiteau run daemon --config /srv/shop/chapiteau.toml"
    )
    assert unit["Type"] == "notify"
    assert unit["KillMode"] == "mixed"
    assert unit["Delegate"] == "yes"
    assert unit["TimeoutStopSec"] == "70"
    assert unit["WantedBy"] == "multi-user.target"
    assert "User" not in unit


def test_a_users_unit_belongs_to_its_user() -> None:
    assert values(systemd_unit(replace(FACTS, user="shop")))["User"] == "shop"
    own = values(systemd_unit(replace(FACTS, user="shop", for_user=True)))
    assert "User" not in own
    assert own["WantedBy"] == "default.target"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        pytest.param("/srv/a b", '"/srv/a b"', id="a space"),
        pytest.param("/srv/50%", "/srv/50%%", id="a percent sign"),
        pytest.param("/srv/$x", '"/srv/$$x"', id="a dollar"),
        pytest.param('/srv/"q\\', '"/srv/\\"q\\\\"', id="a quote and a backslash"),
    ],
)
def test_odd_paths_are_quoted(path: str, written: str) -> None:
    text = systemd_unit(replace(FACTS, config=path))
    assert values(text)["ExecStart"].endswith(f"--config {written}")


def test_a_name_of_two_lines_adds_no_line() -> None:
    evil = systemd_unit(replace(FACTS, project="shop\nExecStart=/bin/evil"))
    assert evil.count("\nExecStart=") == 1
