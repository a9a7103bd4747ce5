"""The service with everything in it: its documents are valid, what it says is what it does, and the
clients made from it are typed strictly and work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from chapiteau.cli.service import group
from chapiteau.service.testing import Client
from tests.service.whole import everything
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HERE = ROOT / "tests" / "service" / "whole"
APP = "tests.service.whole.everything:make"


@pytest.mark.parametrize(
    "make",
    [everything.make, everything.make_versioned, everything.by_path, everything.by_media],
)
def test_documents_are_valid_in_every_dialect(make: Callable[[], Any]) -> None:
    client = Client(make(), headers={"API-Version": "1"})
    for version in ("", "1", "2") if make is not everything.make else ("",):
        new = client.get(f"/openapi.json?version={version}").json()
        old = client.get(f"/openapi.json?openapi=3.0&version={version}").json()
        OpenAPIV31SpecValidator(new).validate()
        OpenAPIV30SpecValidator(old).validate()
        text = client.get(f"/openapi.yaml?version={version}").text
        assert yaml.safe_load(text) == new


def service(*words: str) -> Any:
    """`chapiteau service …` without a process of its own."""
    return CliRunner().invoke(group, list(words), catch_exceptions=False, standalone_mode=False)


def test_the_commands_know_versions_and_dialects() -> None:
    versioned = "tests.service.whole.everything:make_versioned"
    document = service("openapi", versioned, "--api-version", "2", "--openapi", "3.0").output
    assert '"openapi": "3.0.3"' in document
    assert '"version": "2"' in document
    assert "openapi: 3.1.0" in service("openapi", APP, "--format", "yaml").output.replace('"', "")
    assert "/notes/{number}" in service("routes", versioned, "--api-version", "1").output
    with pytest.raises(Exception, match="no version '3'"):
        service("routes", versioned, "--api-version", "3")
    assert "nothing is missing" in service("check", APP).output


# ── live ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def live() -> Iterator[str]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "service", "serve", APP, "--bind", "127.0.0.1:0",
         "--linger", "0"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stderr is not None
    yield worker.stderr.readline().split()[-1]
    worker.terminate()
    assert worker.wait(60) == 0
    worker.stderr.close()


@pytest.mark.slow
def test_document_and_service_agree(live: str) -> None:
    """The short form: bench/service/agree.py asks more, and more applications."""
    program = shutil.which("schemathesis", path=str(ROOT / ".venv" / "bin")) or "schemathesis"
    done = subprocess.run(
        [program, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{live}/openapi.json",
         "--phases", "coverage", "--no-color", "--generation-deterministic",
         "--include-path-regex", "^/(notes|parts|files)"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent",
             "SCHEMATHESIS_HOOKS": "tests.service.whole.hooks"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


USE = """
import asyncio
import contextlib
import sys

from api_client import Api, ApiError, AsyncApi, Upload

api = Api(sys.argv[1], headers={"Authorization": "Bearer good", "X-API-Key": "good"})
made = api.write_note({"text": "milk", "pets": [{"type": "cat", "lives": 9}]})
number: int = made.value["id"]
assert made.headers["location"] == f"/notes/{number}"
edited = api.change_note(number, {"text": "bread"}, if_match=made.etag or '"1"')
text: str = edited.value["text"]
assert text == "bread"
api.change_note(number, {"text": "rye bread"}, if_match="*", prefer="return=minimal")
try:
    api.change_note(number, {"text": ""}, if_match="*")
except ApiError as error:
    assert (error.status, error.problem["code"]) == (422, "invalid-request")
else:
    raise SystemExit(9)
assert api.list_notes(q="rye bread", colours=[]).value[-1]["id"] == number
assert api.log_in({"name": "me", "age": 7}).value["age"] == 7
size: int = api.add_photo({"title": "t", "picture": Upload("a b.png", b"12345")}).value
assert size == 5
data: bytes = api.echo(b"\\x00\\xff").value
assert data == b"\\x00\\xff"
assert api.get_file("a.txt").value == b"abc" * 100
with contextlib.closing(api.get_events(last_event_id="7").value) as events:
    assert next(events).startswith(b"id: 1")
assert b"7" in b"".join(api.get_events(last_event_id="7").value)
assert len(api.get_lines(size=2).value.splitlines()) == 2
assert api.add_part({"name": "p", "howMany": 2}).value["howMany"] == 2
assert api.get_secret().value == "['read']"
job = api.make_report({"x": 1.0}, prefer="respond-async")
assert job.status == 202
api.remove_note(number)
assert api.get_old(visits=3).value == 3


async def main() -> None:
    found = await AsyncApi(sys.argv[1]).get_busy()
    assert found.value is True
    events = await AsyncApi(sys.argv[1]).get_events()
    assert b"data: 1" in b"".join([piece async for piece in events.value])
    early = await AsyncApi(sys.argv[1]).get_events()
    await anext(early.value)
    await early.value.aclose()


asyncio.run(main())
api.close()
"""


@pytest.mark.slow
def test_the_python_client_is_strictly_typed_and_works(live: str, tmp_path: Path) -> None:
    service("client", APP, "--name", "Api", "-o", str(tmp_path / "api_client.py"))
    use = tmp_path / "use.py"
    use.write_text(USE)
    for words in (
        ["-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), str(use)],
        [str(use), live],
    ):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


TSC = ROOT / "ui" / "node_modules" / ".bin" / "tsc"
NODE = shutil.which("node")
USE_TS = """
import { Api, ApiError } from "./client.js";
declare const process: { argv: string[] };
function same(left: unknown, right: unknown): void {
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error(`${left} !== ${right}`);
}
const headers = { Authorization: "Bearer good", "X-API-Key": "good" };
const api = new Api(process.argv[2] ?? "", { headers });
const made = await api.writeNote({ text: "milk" });
const number: number = made.value.id;
const edited = await api.changeNote(number, { text: "bread" }, { ifMatch: made.etag ?? "*" });
same(edited.value.text, "bread");
const bad = api.changeNote(number, { text: "" }, { ifMatch: "*" });
const refused = await bad.catch((error: unknown) => error);
same(refused instanceof ApiError && refused.status, 422);
same((await api.listNotes({ q: "bread", limit: 1 })).value.length, 1);
same((await api.logIn({ name: "me", age: 7 })).value.age, 7);
same((await api.addPhoto({ title: "t", picture: new Blob(["12345"]) })).value, 5);
same(await (await api.echo("abc")).value.text(), "abc");
same((await api.getFile("a.txt")).value.size, 300);
const events = await api.getEvents();
same(events.headers.get("content-type"), "text/event-stream");
same((await new Response(events.value).text()).startsWith("id: 1\\n"), true);
same((await (await api.getLines({ size: 2 })).value.text()).trim().split("\\n").length, 2);
same((await api.removeNote(number)).value, undefined);
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (TSC.exists() and NODE), reason="the compiler of TypeScript is not installed (ui/)"
)
def test_the_typescript_client_compiles_and_works(live: str, tmp_path: Path) -> None:
    service("client", APP, "--language", "typescript", "--name", "Api", "-o",
            str(tmp_path / "client.ts"))  # fmt: skip
    (tmp_path / "use.ts").write_text(USE_TS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    flags = ["--strict", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom",
             "--moduleResolution", "bundler"]  # fmt: skip
    for words in ([str(TSC), *flags, "use.ts"], [str(NODE), "use.js", live]):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
