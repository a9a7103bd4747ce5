"""The Python of our documentation runs, page by page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.support import ROOT

PAGES = (
    "tutorial/web-service.md",
    "tutorial/build-atlas.md",
    "how-to/guard-a-service.md",
    "how-to/send-again-safely.md",
    "how-to/service-errors.md",
    "how-to/take-uploads.md",
    "how-to/page-through-lists.md",
    "how-to/serve-versions.md",
    "how-to/test-a-service.md",
    "how-to/long-work.md",
    "how-to/describe-a-service.md",
)
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text()
    source = "\n".join(_BLOCK.findall(text))
    assert source
    name = "page_" + re.sub(r"\W", "_", page)
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, page, "exec", dont_inherit=True), vars(module))


def test_the_reference_names_every_option_of_an_operation() -> None:
    import dataclasses

    from chapiteau.service.declare.signature import OperationOptions

    text = (ROOT / "docs" / "reference" / "service.md").read_text()
    missing = [f.name for f in dataclasses.fields(OperationOptions) if f"`{f.name}`" not in text]
    assert [name for name in missing if name != "view"] == []


def test_the_reference_names_everything_public() -> None:
    import chapiteau.service

    pages = [*(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    missing = [name for name in chapiteau.service.__all__ if name not in text]
    assert missing == []


NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
OPENSSL = shutil.which("openssl")


@pytest.mark.slow
@pytest.mark.skipif(not (NGINX and OPENSSL), reason="nginx and openssl are not installed")
def test_the_nginx_of_debian_takes_the_file_of_the_guide(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "web-service-behind-nginx.md").read_text()
    (site,) = re.findall(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=a.example"]  # fmt: skip
    subprocess.run([str(OPENSSL), *words], check=True, capture_output=True)
    site = re.sub(r"/etc/ssl/private/\S+\.key", str(key), site)
    site = re.sub(r"/etc/ssl/\S+\.pem", str(certificate), site)
    assert str(certificate) in site
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; {folders}\n{site}\n}}\n"
    )
    tried = subprocess.run(
        [str(NGINX), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stderr
