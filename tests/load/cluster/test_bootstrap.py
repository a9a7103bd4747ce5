"""`--bootstrap uv`: the wheel that goes along, and what happens on a host that has nothing."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.cluster.bootstrap import build_wheel, ssh_with_uv
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import LoadStep
from tests.load.workers.test_local_workers import file_plan

pytestmark = pytest.mark.slow

# In ssh's place: a shell of its own, as on another machine, which sees a home of its own.
SSH = """#!/bin/sh
while test "$1" != --; do shift; done
exec env -i PATH=/usr/bin:/bin HOME={home} sh -c "$3"
"""
# In uv's place: installs nothing but the wheel, where no index can be reached.
UV = """#!/bin/sh
echo "$@" >>{home}/asked
for word; do case $word in "chapiteau"*) wheel=${{word#*file://}};; esac; done
{python} -m zipfile -e "$wheel" {home}/installed
while test "$1" != python; do shift; done
shift
exec env PYTHONPATH={home}/installed {python} "$@"
"""


def script(path: Path, text: str, **words: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(**words))
    path.chmod(0o700)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home on a host, and the words that reach it in `ssh`."""
    home = tmp_path / "far away"
    home.mkdir()
    script(tmp_path / "ssh", SSH, home=shlex.quote(str(home)))
    return home


def test_the_wheel_is_the_one_that_runs_here_and_always_the_same() -> None:
    name, wheel = build_wheel()
    assert name == f"chapiteau-{version('chapiteau')}-py3-none-any.whl"
    assert build_wheel() == (name, wheel)
    archive = zipfile.ZipFile(io.BytesIO(wheel))
    info = name.removesuffix("-py3-none-any.whl") + ".dist-info"
    assert {f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"} <= set(archive.namelist())
    recorded = archive.read(f"{info}/RECORD").decode().splitlines()
    assert len(recorded) == len(archive.namelist())
    assert "Requires-Dist: aiohttp" in archive.read(f"{info}/METADATA").decode()
    assert len(wheel) < 4 << 20


async def test_a_host_with_ssh_and_uv_puts_load_on(home: Path, tmp_path: Path) -> None:
    script(
        home / ".local/bin/uv", UV, home=shlex.quote(str(home)), python=shlex.quote(sys.executable)
    )
    scenario = """
# /// script
# dependencies = ["first", "it's; python_version != '2'"]
# ///
import chapiteau
from chapiteau.load import scenario
@scenario
async def one(session):
    session.check("installed" in chapiteau.__file__, "the one that came along")
    await session.get("/")
"""
    with Target("queue", mean=0.0001, fixed=True) as target:
        what = file_plan(tmp_path / "t.py", scenario, target.url)
        cluster = ssh_with_uv(["h1"], str(tmp_path / "ssh"), "", tmp_path / "t.py")
        async with DistributedWorkers(cluster, what, processes=1, on_loss="stop") as team:
            totals = Totals()
            await team.run(LoadStep(shape=constant_shape(40, 0.5), arrivals="even"), totals)
    assert totals.checks == {"the one that came along": [20, 0]}
    first, second = (home / "asked").read_text().splitlines()
    assert "--isolated --no-project --python >=3.11 --with chapiteau[" in first
    assert "--with first --with it's; python_version != '2' python -c pass" in first
    assert second.endswith("python -m chapiteau.load.cluster.relay")


async def test_a_host_without_uv_and_without_a_way_to_it_is_told(
    home: Path, tmp_path: Path
) -> None:
    script(home / ".config/pip/pip.conf", "[global]\nno-index = true\n")
    cluster = ssh_with_uv(["h1", "h2"], str(tmp_path / "ssh"), "", None)
    with pytest.raises(ChapiteauError, match=r"h\d has no uv, and pip can't bring it: ") as told:
        await cluster.hosts()
    assert "leave --bootstrap out" in told.value.hint


async def test_what_uv_says_is_passed_on(home: Path, tmp_path: Path) -> None:
    script(home / ".local/bin/uv", "#!/bin/sh\necho no index >&2\nexit 2\n")
    cluster = ssh_with_uv(["h1"], str(tmp_path / "ssh"), "", None)
    with pytest.raises(ChapiteauError, match="h1: uv could not make Chapiteau ready: no index"):
        await cluster.hosts()


def test_it_goes_with_ssh_alone(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "chapiteau", "load", "run", "http://127.0.0.1:1/"]
    done = subprocess.run(
        [*argv, "--on", "local:2", "--bootstrap", "uv"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "bootstrap: goes with --on ssh:" in done.stderr
