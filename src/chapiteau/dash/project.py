"""Where a project keeps what the dashboard needs."""

from dataclasses import dataclass
from pathlib import Path

from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, raise_problems
from chapiteau.dash.settings import Dash, HubSettings, alert_problems
from chapiteau.io.project_file import find_config
from chapiteau.io.project_file import read_project as read_file
from chapiteau.run.client import run_dir_of, socket_of

__all__ = ["Project", "read_project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The dashboard's part of a chapiteau.toml."""

    config: Path
    name: str
    run_dir: Path
    control_socket: Path  # where the supervisor answers
    dash: Dash
    hub: HubSettings
    has_services: bool

    @property
    def address_file(self) -> Path:
        """Where the running dashboard says its URL."""
        return self.run_dir / "dash.json"

    @property
    def store(self) -> Path:
        """What the hub must not forget."""
        return self.run_dir / "dash.sqlite3"

    @property
    def authority(self) -> Path:
        """The hub's certificates."""
        return self.run_dir / "hub"

    @property
    def node_dir(self) -> Path:
        """What makes this server a node of another one's hub."""
        return self.run_dir / "node"


def read_project(given: Path | None) -> Project:
    """Read [project] and [dash]. Raises InvalidInputError with file and line of each problem."""
    config = find_config(given)
    file = read_file(config)
    dash, found = read(Dash, file.section("dash"), ("dash",))
    hub, also = read(HubSettings, file.section("hub"), ("hub",))
    found = [*found, *also]
    problems = [Problem(file.where(path), f"{p.where}: {p.what}", p.hint) for path, p in found]
    if hub is not None:
        problems += alert_problems(hub.alerts)
    raise_problems(str(config), problems)
    assert dash is not None  # noqa: S101 — no problems means a value
    assert hub is not None  # noqa: S101
    return Project(
        config=config,
        name=str(file.section("project").get("name") or config.parent.name),
        run_dir=run_dir_of(config),
        control_socket=socket_of(config),
        dash=dash,
        hub=hub,
        has_services=bool(file.section("service")),
    )
