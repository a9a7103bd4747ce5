"""`chapiteau import cornice`: what is rewritten, what is left, and what is not touched."""

import json
from pathlib import Path

import pytest

from chapiteau.migrate.cornice.command import move, names_of
from chapiteau.migrate.cornice.rewriting import new_name, requirements, rewrite, rewrite_ini
from tests.support import run_cli

ROWS = [
    ("from cornice import Service", "from chapiteau.cornice import Service"),
    ("from cornice.util import to_list as l", "from chapiteau.cornice.util import to_list as l"),
    ("from cornice.validators import (\n    extract_cstruct,\n)", None),
    ("import cornice", "from chapiteau import cornice"),
    ("import cornice.service", "from chapiteau import cornice"),
    ("import cornice as c", "import chapiteau.cornice as c"),
    ("import cornice.util as u", "import chapiteau.cornice.util as u"),
    ("import os, cornice, sys", "import os, sys\nfrom chapiteau import cornice"),
    ("x = 1; import cornice, os", "x = 1; import os; from chapiteau import cornice"),
    ("import cornice_swagger", "from chapiteau.cornice import swagger as cornice_swagger"),
    (
        "from cornice_swagger.swagger import CorniceSwagger",
        "from chapiteau.cornice.swagger.swagger import CorniceSwagger",
    ),
    ('config.include("cornice")', 'config.include("chapiteau.cornice")'),
    ("config.include('cornice_swagger')", "config.include('chapiteau.cornice.swagger')"),
    ('é = "ö"; config.include("cornice")', 'é = "ö"; config.include("chapiteau.cornice")'),
    ('patch("cornice.util.to_list")', 'patch("chapiteau.cornice.util.to_list")'),
    ('extensions = ["cornice_sphinx"]', 'extensions = ["chapiteau.cornice.ext.sphinxext"]'),
    ('"""cornice"""', '"""cornice"""'),
    ('name = "cornice"', 'name = "cornice"'),
    ("from .cornice import x", "from .cornice import x"),
    ("from cornices import x", "from cornices import x"),
    ("# from cornice import x", "# from cornice import x"),
    # A setting of Cornice's is no module of it.
    ('settings["cornice.always_cors"] = True', 'settings["cornice.always_cors"] = True'),
    ('config.include(\n    "cornice"\n)', 'config.include(\n    "chapiteau.cornice"\n)'),
    ('import_module("cornice")', 'import_module("chapiteau.cornice")'),
    (
        'settings = {"pyramid.includes": "pyramid_tm cornice cornice_swagger"}',
        'settings = {"pyramid.includes": "pyramid_tm chapiteau.cornice chapiteau.cornice.swagger"}',
    ),
    (
        's["pyramid.includes"] = """\n  pyramid_tm\n  cornice\n"""',
        's["pyramid.includes"] = """\n  pyramid_tm\n  chapiteau.cornice\n"""',
    ),
    ('logging.getLogger("cornice")', 'logging.getLogger("cornice")'),
]


@pytest.mark.parametrize(("old", "new"), ROWS)
def test_a_line_becomes(old: str, new: str | None) -> None:
    made = rewrite(old, names_of)
    assert made.text == (new or old.replace("from cornice", "from chapiteau.cornice"))
    assert not any(note.left for note in made.notes)
    assert rewrite(made.text, names_of).text == made.text  # a second time changes nothing


def test_indentation_is_kept_when_one_import_becomes_two() -> None:
    old = "def f():\n    import cornice, os\n    return cornice, os\n"
    assert rewrite(old, names_of).text == (
        "def f():\n    import os\n    from chapiteau import cornice\n    return cornice, os\n"
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("from cornice.schemas import CorniceSchema", "chapiteau.cornice.schemas does not exist"),
        ("import cornice.ext.other", "chapiteau.cornice.ext.other does not exist"),
        ("from cornice.util import json_error", "cornice.util has json_error"),
        ("from \\\n  cornice import Service", "from cornice import"),
        ('version("cornice")', "asks for the distribution"),
        ('config.include("cornice.other")', "chapiteau.cornice.other does not exist"),
        ('for name in ("x", "cornice"):\n    config.include(name)', 'has "cornice" in a list'),
    ],
)
def test_what_is_not_here_is_left_for_a_person(line: str, what: str) -> None:
    made = rewrite(line, names_of)
    left = [note for note in made.notes if note.left]
    assert [note.what.startswith(what) for note in left] == [True]
    assert left[0].hint
    if "util" in line:  # it is still told when the file has been moved
        assert rewrite(made.text, names_of).notes == tuple(left)


def test_other_names_stay() -> None:
    assert new_name("cornice_other.x") == "cornice_other.x"


def test_a_file_in_another_encoding_is_told_and_one_with_a_mark_is_moved(tmp_path: Path) -> None:
    old, marked = tmp_path / "old.py", tmp_path / "marked.py"
    old.write_bytes("# -*- coding: latin-1 -*-\nimport cornice  # é\n".encode("latin-1"))
    marked.write_bytes(b"\xef\xbb\xbffrom cornice import Service\n")
    found = {one.path.name: one for one in move([tmp_path], write=True)}
    assert found["old.py"].notes[0].left
    assert marked.read_bytes() == b"\xef\xbb\xbffrom chapiteau.cornice import Service\n"
    (tmp_path / "production.ini.in").write_text("pyramid.includes = cornice\n")
    move([tmp_path], write=True)
    assert "chapiteau.cornice" in (tmp_path / "production.ini.in").read_text()
    assert all(note.left for one in move([tmp_path], write=True) for note in one.notes)


def test_includes_in_an_ini_file() -> None:
    old = "[app:main]\npyramid.includes =\n    pyramid_tm\n    cornice\nname = cornice\n"
    made = rewrite_ini(old)
    assert made.text == old.replace("    cornice\n", "    chapiteau.cornice\n")
    assert [note.line for note in made.notes] == [4]
    assert rewrite_ini("pyramid.includes = cornice_swagger cornice\n").text == (
        "pyramid.includes = chapiteau.cornice.swagger chapiteau.cornice\n"
    )


def test_requirements_are_found() -> None:
    text = 'pyramid\ncornice>=5\n# cornice\nchapiteau[cornice]\n"cornice-swagger==1"\n'
    assert [note.line for note in requirements(text)] == [2, 5]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "views.py").write_bytes(b"from cornice import Service\r\nx = 1\r\n")
    (tmp_path / "shop" / "old.py").write_text("print 'cornice'\n")
    (tmp_path / "requirements.txt").write_text("cornice==6.1\n")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "env" / "a.py").write_text("import cornice\n")
    return tmp_path


@pytest.mark.slow
def test_a_dry_run_shows_a_diff_and_writes_nothing(project: Path) -> None:
    before = (project / "shop" / "views.py").read_bytes()
    done = run_cli("import", "cornice", "--dry-run", str(project))
    assert "+from chapiteau.cornice import Service" in done.stdout
    assert "requirements.txt:1" in done.stderr
    assert done.returncode == 7
    assert (project / "shop" / "views.py").read_bytes() == before


@pytest.mark.slow
def test_files_are_written_with_their_line_ends_and_others_left_alone(project: Path) -> None:
    done = run_cli("import", "cornice", "--json", str(project))
    found = {Path(one["path"]).name: one for one in json.loads(done.stdout)["files"]}
    assert set(found) == {"views.py", "old.py", "requirements.txt"}
    assert found["views.py"]["changed"]
    assert found["old.py"]["notes"][0]["left"]
    written = (project / "shop" / "views.py").read_bytes()
    assert written == b"from chapiteau.cornice import Service\r\nx = 1\r\n"
    assert (project / "env" / "a.py").read_text() == "import cornice\n"


@pytest.mark.slow
def test_a_missing_path_is_an_error_with_its_exit_code(tmp_path: Path) -> None:
    done = run_cli("import", "cornice", str(tmp_path / "nothing"))
    assert done.returncode == 3
    assert "no such file" in done.stderr
