"""chapiteau.toml is found, put together from its parts, and every fault has its place."""

from pathlib import Path

import pytest

from chapiteau.core.errors import NotFoundError
from chapiteau.io.project_file import ProjectFile, find_config, read_project


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def project(text: str, env: dict[str, str] | None = None, **files: str) -> ProjectFile:
    for name, content in files.items():
        path = Path(name.replace("__", "/") + ".toml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    Path("chapiteau.toml").write_text(text)
    return read_project(Path("chapiteau.toml"), env or {})


def complaints(found: ProjectFile) -> list[str]:
    return [f"{p.where}: {p.what}" for p in found.problems]


def test_a_file_is_looked_for_upwards(tmp_path: Path) -> None:
    Path("chapiteau.toml").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_config(start=deep) == tmp_path / "chapiteau.toml"
    assert find_config(tmp_path) == tmp_path / "chapiteau.toml"


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=str(tmp_path)):
        find_config(start=tmp_path)
    with pytest.raises(NotFoundError, match=r"other\.toml"):
        find_config("other.toml")


def test_included_files_add_their_sections() -> None:
    found = project(
        'include = ["conf.d/*.toml"]\n[service.web]\ncommand = "web"\n',
        conf__a='[service.nope]\ncommand = "x"',
        **{"conf.d__b": '[service.worker]\ncommand = "work"\n[load.peak]\nrate = 1'},
    )
    assert complaints(found) == []
    assert list(found.section("service")) == ["web", "worker"]
    assert found.section("load") == {"peak": {"rate": 1}}
    assert found.where(("service", "worker", "command")) == "conf.d/b.toml:2"
    assert found.where(("service", "web", "command")) == "chapiteau.toml:3"
    assert [f.name for f in found.files] == ["chapiteau.toml", "b.toml"]


def test_a_name_given_twice_names_both_places() -> None:
    found = project(
        'include = ["more.toml"]\n[service.web]\ncommand = "web"\n[log]\nkeep = 1',
        more='[service.web]\ncommand = "other"\n[log]\nkeep = 2',
    )
    assert complaints(found) == [
        "more.toml:1: service.web: is also given in chapiteau.toml:2",
        "more.toml:3: log: is also given in chapiteau.toml:4",
    ]


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        pytest.param("[sevice.web]", "sevice: is not a known section", "'service'", id="typo"),
        pytest.param(
            "service = 1", "service: must be a section: [service.NAME]", "", id="no table"
        ),
        pytest.param(
            "[service]\nweb = 1",
            "service.web: must be a section of its own",
            "",
            id="no table in it",
        ),
        pytest.param("include = 1", "include: must be a list", "", id="include is no list"),
        pytest.param(
            'include = ["x.toml"]', "'x.toml' does not exist", "", id="nothing to include"
        ),
        pytest.param(
            '[project]\nname = "${env.NOPE}"', "variable NOPE is not set", ":-value", id="unset"
        ),
        pytest.param(
            '[project]\nname = "${hots.name}"',
            "${hots.name} is not a known variable",
            "'host.name'",
            id="unknown variable",
        ),
        pytest.param(
            '[project]\nname = "${pyhton}"',
            "${pyhton} is not a known variable",
            "'python'",
            id="python, mistyped",
        ),
        pytest.param(
            '[project]\nname = "${HOME}"',
            "${HOME} is not a known variable",
            "$${…}",
            id="a shell's",
        ),
        pytest.param(
            '[socket.web]\n[service.a]\ncommand = "${socket.wep.fd}"',
            "there is no socket 'wep'",
            "'web'",
            id="unknown socket",
        ),
        pytest.param(
            '[socket.web]\n[service.a]\ncommand = "${socket.web.file}"',
            "a socket has fd, port and address",
            "",
            id="unknown part of a socket",
        ),
        pytest.param(
            '[project]\nname = "${service.name}"',
            "has a value in [service.NAME]",
            "",
            id="too early",
        ),
    ],
)
def test_complaints(text: str, complaint: str, hint: str) -> None:
    (problem,) = project(text).problems
    assert complaint in problem.what
    assert hint in problem.hint
    assert problem.where.startswith("chapiteau.toml:")


def test_who_stands_in_the_root_folder_names_files_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chapiteau.toml").write_text("include = 1")
    monkeypatch.chdir("/")
    (problem,) = read_project(tmp_path / "chapiteau.toml").problems
    assert problem.where.startswith(f"{tmp_path}/chapiteau.toml")


def test_only_the_main_file_may_include() -> None:
    found = project('include = ["a.toml"]', a='include = ["b.toml"]')
    assert complaints(found) == ["a.toml:1: include: only the main file may include others"]


def test_variables_are_filled_in_everywhere() -> None:
    found = project(
        '[service.web]\ncommand = ["${env.RUN}", "${socket.web.fd}"]\ncwd = "${project.dir}"\n'
        'env = {MODE = "${env.MODE:-dev}", EMPTY = "${env.EMPTY}"}\n[socket.web]\n',
        {"RUN": "python", "EMPTY": ""},
    )
    assert complaints(found) == []
    web = found.section("service")["web"]
    assert web["command"] == ["python", "${socket.web.fd}"]
    assert web["cwd"] == str(Path.cwd())
    assert web["env"] == {"MODE": "dev", "EMPTY": ""}
