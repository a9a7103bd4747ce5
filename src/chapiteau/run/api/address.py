"""Where the supervisor of a project listens."""

from pathlib import Path

from chapiteau.core.errors import UsageError
from chapiteau.io.locate_config import find_config, may_define
from chapiteau.io.unix_http import control_path

__all__ = ["lock_path", "run_dir_of", "socket_of"]


def run_dir_of(config: Path) -> Path:
    """The run directory that a chapiteau.toml names, without checking anything else in it.

    It must work while the file is being edited: one that can't be read as TOML counts as one
    with the default.
    """
    if not may_define(config, "run_dir"):
        return (config.parent / ".chapiteau").absolute()
    from chapiteau.io.project_file import read_project

    try:
        named = read_project(config).section("project").get("run_dir")
    except UsageError:
        named = None
    usual = (config.parent / ".chapiteau").absolute()
    wanted = (config.parent / named).absolute() if isinstance(named, str) else usual
    if wanted != usual and not control_path(wanted).exists() and control_path(usual).exists():
        return usual  # it was started before the file named another one
    return wanted


def socket_of(config: str | Path | None = None) -> Path:
    """Path of the control socket for a config file, its folder, or the one found from here up."""
    return control_path(run_dir_of(find_config(config)))


def lock_path(run_dir: Path) -> Path:
    """The file that names the living supervisor's keeper."""
    return run_dir / "lock"
