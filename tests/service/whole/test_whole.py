"""The service with everything in it: its documents are valid, what it says is what it does, and the
clients made from it are typed strictly and work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from chapiteau.cli.groups import service_group as group
from chapiteau.core.errors import UsageError
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


# ── clients that other programs write from the document (docs/how-to/generate-clients.md) ─────────
USE = """
import sys
from http import HTTPStatus

from everything_client import Client
from everything_client.api.file import get_file
from everything_client.api.logins import log_in
from everything_client.api.note import change_note, get_note
from everything_client.api.notes import list_notes, write_note
from everything_client.models import Login, NewNote, Note, ProblemDocument

client = Client(base_url=sys.argv[1], headers={"Authorization": "Bearer good"})
made = write_note.sync(client=client, body=NewNote(text="milk"))
assert isinstance(made, Note)
number: int = made.id
edited = change_note.sync(number, client=client, body=NewNote(text="bread"), if_match="*")
assert isinstance(edited, Note)
text: str = edited.text
assert text == "bread"
bad = change_note.sync_detailed(number, client=client, body=NewNote(text=""), if_match="*")
assert bad.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
assert isinstance(bad.parsed, ProblemDocument) and bad.parsed.code == "invalid-request"
assert isinstance(get_note.sync(999_999, client=client), ProblemDocument)
found = list_notes.sync(client=client, q="bread", limit=1)
assert isinstance(found, list) and found[0].id == number
assert log_in.sync(client=client, body=Login(name="me", age=7)) == Login(name="me", age=7)
assert get_file.sync_detailed("a.txt", client=client).content == b"abc" * 100
"""


# Media types that the generator does not know are bytes to it.
BYTES = """
content_type_overrides:
  "*/*": application/octet-stream
  application/x-ndjson: application/octet-stream
"""


def _ran(words: list[str], cwd: Path) -> str:
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"  # the generator calls ruff
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_openapi_python_client_reads_the_document(live: str, tmp_path: Path) -> None:
    service("openapi", APP, "-o", str(tmp_path / "openapi.json"))
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--path",
                "openapi.json", "--meta", "none", "--output-path", "everything_client"]  # fmt: skip
    (tmp_path / "config.yaml").write_text(BYTES)
    told = _ran([*generate, "--config", "config.yaml"], tmp_path)
    warnings = set(re.findall(r"WARNING.*?\n\n(.*?)\n", told))
    unknown = {f"Unsupported content type application/{name}" for name in ("msgpack", "cbor")}
    assert warnings == unknown, told  # they stand beside JSON, which the client takes
    (tmp_path / "use.py").write_text(USE)
    types = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports",
             "silent", "--cache-dir", "cache", "use.py"]  # fmt: skip
    _ran(types, tmp_path)
    _ran([sys.executable, "use.py", live], tmp_path)


GENERATORS = HERE / "generators" / "node_modules"
NODE = shutil.which("node")
USE_TS = """
import createClient from "openapi-fetch";
import type { components, paths } from "./everything.js";
declare const process: { argv: string[] };
function same(left: unknown, right: unknown): void {
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error(`${left} !== ${right}`);
}
const api = createClient<paths>({
  baseUrl: process.argv[2] ?? "", headers: { Authorization: "Bearer good", "X-API-Key": "good" },
});
const made = await api.POST("/notes", { body: { text: "milk" } });
const number: number = made.data?.id ?? 0;
const path = { number };
const header = { "If-Match": made.response.headers.get("etag") ?? "*" };
const params = { path, header };
const edited = await api.PUT("/notes/{number}", { params, body: { text: "bread" } });
same(edited.data?.text, "bread");
const bad = await api.PUT("/notes/{number}", { params, body: { text: "" } });
const problem: components["schemas"]["ProblemDocument"] | undefined = bad.error;
same([bad.response.status, problem?.code], [422, "invalid-request"]);
const found = await api.GET("/notes", { params: { query: { q: "bread", limit: 1 } } });
same(found.data?.length, 1);
const events = await api.GET("/events", { parseAs: "text" });
same(String(events.data).startsWith("id: 1\\n"), true);
await api.DELETE("/notes/{number}", { params: { path } });
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (GENERATORS.exists() and NODE), reason="openapi-typescript is not installed (generators/)"
)
def test_openapi_typescript_reads_the_document(live: str, tmp_path: Path) -> None:
    service("openapi", APP, "-o", str(tmp_path / "openapi.json"))
    (tmp_path / "node_modules").symlink_to(GENERATORS)
    generate = [str(GENERATORS / ".bin" / "openapi-typescript"), "openapi.json"]
    _ran([*generate, "--default-non-nullable", "false", "-o", "everything.d.ts"], tmp_path)
    (tmp_path / "use.ts").write_text(USE_TS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    flags = ["--strict", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom",
             "--moduleResolution", "bundler"]  # fmt: skip
    _ran([str(GENERATORS / ".bin" / "tsc"), *flags, "use.ts"], tmp_path)
    _ran([str(NODE), "use.js", live], tmp_path)


def test_the_removed_command_says_what_to_run() -> None:
    with pytest.raises(UsageError, match="was removed") as failed:
        service("client", APP, "--language", "typescript", "-o", "client.ts")
    assert "openapi-python-client" in failed.value.hint
