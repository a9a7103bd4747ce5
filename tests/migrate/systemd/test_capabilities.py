"""systemd's capabilities, whose meaning hangs on the user; directives that grow with each line."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.migrate.importing import convert

BOUND = "CapabilityBoundingSet="
AMBIENT = "AmbientCapabilities="


def service(lines: str) -> dict[str, Any]:
    made = convert("systemd", f"[Service]\nExecStart=/bin/x\n{lines}\n", "x.service")
    (found,) = tomllib.loads(made.toml)["service"].values()
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (BOUND, []),
        (f"{BOUND}CAP_CHOWN\n{BOUND}CAP_KILL CAP_CHOWN", ["chown", "kill"]),
        (f"{BOUND}CAP_CHOWN\n{BOUND}\n{BOUND}CAP_KILL", ["kill"]),
        (f"{BOUND}CAP_CHOWN\n{BOUND}", []),
        (f"User=root\n{BOUND}CAP_CHOWN\n{AMBIENT}CAP_KILL", ["chown"]),
        (f"User=www\n{BOUND}CAP_CHOWN", None),
        (f"User=www\n{BOUND}CAP_CHOWN CAP_KILL\n{AMBIENT}CAP_KILL", ["kill"]),
        (f"{AMBIENT}CAP_KILL\nUser=www", ["kill"]),
        (f"User=www\n{BOUND}", None),
        (f"{BOUND}~CAP_SYS_ADMIN", None),
    ],
)
def test_the_service_has_the_capabilities_that_it_had(lines: str, names: list[str] | None) -> None:
    assert service(lines).get("capabilities") == names


@pytest.mark.parametrize(
    ("lines", "column", "told"),
    [
        (BOUND, "kept", "capabilities"),
        (f"User=www\n{BOUND}", "kept", "has none"),
        (f"User=www\n{BOUND}CAP_CHOWN", "changed", "setuid"),
        (f"{BOUND}~CAP_SYS_ADMIN", "lost", "took single"),
        (f"{AMBIENT}CAP_KILL", "lost", "not root"),
    ],
)
def test_each_line_of_capabilities_is_in_the_report(lines: str, column: str, told: str) -> None:
    made = convert("systemd", f"[Service]\nExecStart=/bin/x\n{lines}\n", "x.service")
    notes = [note for note in made.of(column) if "Capabilit" in note.setting]
    assert [told in note.what for note in notes] == [True]


def test_a_directive_that_grows_with_each_line_is_not_said_to_be_overruled() -> None:
    text = "[Service]\nExecStart=/bin/x\nReadWritePaths=/a\nReadWritePaths=/b\n"
    made = convert("systemd", text, "x.service")
    assert sum("ReadWritePaths" in note.setting for note in made.of("lost")) == 2
    assert not any("overruled" in note.what for note in made.of("kept"))
