"""Where a project keeps what the dashboard needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, raise_problems
from chapiteau.dash.logic.settings import Dash
from chapiteau.plumbing.tomlfile import read_toml

__all__ = ["Project", "read_project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The dashboard's part of a chapiteau.toml."""

    config: Path
    name: str
    run_dir: Path
    dash: Dash

    @property
    def control_socket(self) -> Path:
        """Where the supervisor answers."""
        return self.run_dir / "control.sock"

    @property
    def address_file(self) -> Path:
        """Where the running dashboard says its URL."""
        return self.run_dir / "dash.json"

    @property
    def store(self) -> Path:
        """What the hub must not forget."""
        return self.run_dir / "dash.sqlite3"

    @property
    def reports(self) -> Path:
        """Where load tests of this project lie."""
        return self.run_dir / "load"


def read_project(config: Path) -> Project:
    """Read [project] and [dash]. Raises InvalidInputError with file and line of each problem."""
    config = config.absolute()
    file = read_toml(config)
    dash, found = read(Dash, file.data.get("dash", {}), ("dash",))
    raise_problems(
        str(config), [Problem(file.where(path), str(p.what), p.hint) for path, p in found]
    )
    assert dash is not None  # noqa: S101 — no problems means a value
    project: dict[str, Any] = file.data.get("project", {})
    folder = config.parent
    return Project(
        config=config,
        name=str(project.get("name") or folder.name),
        run_dir=folder / str(project.get("run_dir", ".chapiteau")),
        dash=dash,
    )
