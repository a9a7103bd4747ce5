"""What goes to other machines with a plan: all that is needed, and nothing private by accident."""

from __future__ import annotations

import io
import os
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.cluster import shipping
from chapiteau.load.cluster.shipping import pack_scenario, unpack_scenario
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.workers.documents import read_source
from chapiteau.load.workers.messages import Setup
from chapiteau.load.workers.plan import DocumentSource, FileSource, Plan


def plan_of(scenario: Path, **connection: str) -> Plan:
    return Plan(
        source=FileSource(str(scenario)), connection=replace(ConnectionSettings(), **connection)
    )


def names_in(packed: tuple[Plan, bytes]) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(packed[1])).namelist())


def unpacked(packed: tuple[Plan, bytes], folder: Path) -> Plan:
    return unpack_scenario(Setup(plan=packed[0], files=packed[1]), folder)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "t.py").write_text("x = 1\n")
    return home / "t.py"


def test_modules_data_and_keys_arrive_as_they_were(scenario: Path, tmp_path: Path) -> None:
    beside = scenario.parent
    odd = ["ünïcode ☂.csv", "with space", "a'b\"c;$(rm)", "-r", "back\\slash", "new\nline"]
    (beside / "data").mkdir()
    for number, name in enumerate(odd):
        (beside / "data" / name).write_bytes(bytes([number]))
    key = tmp_path / "client.key"
    key.write_text("secret")
    far = tmp_path / "far"
    far.mkdir(mode=0o700)
    found = unpacked(pack_scenario(plan_of(scenario, client_key=str(key))), far)
    assert isinstance(found.source, FileSource)
    there = Path(found.source.path)
    assert there.read_text() == "x = 1\n"
    assert {p.name: p.read_bytes() for p in (there.parent / "data").iterdir()} == {
        name: bytes([number]) for number, name in enumerate(odd)
    }
    assert Path(found.connection.client_key).read_text() == "secret"
    assert str(beside).encode() not in msgspec.json.encode(found)


def test_what_begins_with_a_dot_stays_at_home(scenario: Path) -> None:
    for name in (".ssh/id_ed25519", ".env", ".git/config", "node_modules/x.js", "sub/.aws/keys"):
        path = scenario.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("private")
    (scenario.parent / "sub" / "rows.csv").write_text("a\n")
    assert names_in(pack_scenario(plan_of(scenario))) == {"scenario/t.py", "scenario/sub/rows.csv"}


def test_a_scenario_is_sent_though_its_own_name_begins_with_a_dot(scenario: Path) -> None:
    hidden = scenario.rename(scenario.with_name(".t.py"))
    assert names_in(pack_scenario(plan_of(hidden))) == {"scenario/.t.py"}


def test_links_to_files_are_followed_and_links_to_folders_are_not(
    scenario: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("far away")
    (scenario.parent / "rows.csv").symlink_to(tmp_path / "rows.csv")
    (scenario.parent / "round").symlink_to(scenario.parent)
    (scenario.parent / "nowhere").symlink_to(tmp_path / "nothing")
    assert names_in(pack_scenario(plan_of(scenario))) == {"scenario/t.py", "scenario/rows.csv"}
    linked = tmp_path / "link.py"
    linked.symlink_to(scenario)
    assert "scenario/link.py" in names_in(pack_scenario(plan_of(linked)))


def test_files_without_a_date_that_zip_knows_go_along(scenario: Path) -> None:
    os.utime(scenario, (0, 0))  # 1970, as repeatable builds have it
    assert names_in(pack_scenario(plan_of(scenario))) == {"scenario/t.py"}


def test_what_can_not_be_sent_is_named(scenario: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ca\.pem: it goes to every machine, and can't be read"):
        pack_scenario(plan_of(scenario, ca_file=str(tmp_path / "ca.pem")))
    (scenario.parent / os.fsdecode(b"latin-\xe9")).write_text("x")
    with pytest.raises(UsageError, match=r"latin-\\xe9: its name is not UTF-8"):
        pack_scenario(plan_of(scenario))


def test_too_many_files_are_refused_before_they_are_packed(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "_MOST", 3000)
    monkeypatch.setattr(shipping, "_MOST_PACKED", 1000)
    (scenario.parent / "rows.csv").write_bytes(b"0" * 2000)  # packs well
    assert "scenario/rows.csv" in names_in(pack_scenario(plan_of(scenario)))
    (scenario.parent / "more.csv").write_bytes(b"0" * 2000)
    with pytest.raises(UsageError, match="has more than 0 MiB of files, and all"):
        pack_scenario(plan_of(scenario))
    (scenario.parent / "more.csv").unlink()
    (scenario.parent / "rows.csv").write_bytes(random.Random(1).randbytes(2000))  # does not
    with pytest.raises(UsageError, match="when they are packed"):
        pack_scenario(plan_of(scenario))


def test_a_document_travels_with_the_files_that_it_names(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "body.json").write_text('{"a": 1}')
    (tmp_path / "absolute").write_text("raw")
    text = f"POST http://h/a @body.json\nPOST http://h/b @{tmp_path}/absolute\n"
    source = DocumentSource(kind="urls", text=text, folder=str(home), name="list.txt")
    sent = pack_scenario(Plan(source=source))
    assert sent[0].source == structs.replace(
        source, text="", files={"body.json": "named/0", f"{tmp_path}/absolute": "named/1"}
    )  # megabytes belong into the archive
    (home / "body.json").unlink()
    (tmp_path / "absolute").unlink()
    far = tmp_path / "far"
    far.mkdir()
    found = unpacked(sent, far).source
    assert isinstance(found, DocumentSource)
    assert found.text == text
    flow: Any = read_source(found).flow
    assert [request.body for request in flow.requests] == [b'{"a": 1}', b"raw"]


def test_an_archive_that_lies_on_the_machine_is_taken_from_there(
    scenario: Path, tmp_path: Path
) -> None:
    sent, files = pack_scenario(plan_of(scenario))
    archive = tmp_path / "files.zip"
    archive.write_bytes(files)
    found = unpack_scenario(Setup(plan=sent, archive=str(archive)), tmp_path / "far")
    assert isinstance(found.source, FileSource)
    assert Path(found.source.path).is_file()
    with pytest.raises(ChapiteauError, match="the scenario's files did not come"):
        unpack_scenario(Setup(plan=sent, archive=str(tmp_path / "nothing")), tmp_path / "far")
