"""Complete configurations of every format, and what becomes of them: read the assets side by side.

RENEW_GOLDEN=1 writes the expected files anew; `git diff` then shows what changed.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from chapiteau.core.fields import read
from chapiteau.run.config.load import read_spec
from chapiteau.run.config.spec import Spec
from tests.migrate.importing import ASSETS, CASES, RENEW, account, asset, imported


@pytest.mark.parametrize("case", CASES)
def test_the_new_file_and_the_account_are_as_expected(case: str) -> None:
    made = imported(case)
    for name, text in (("chapiteau.toml", made.toml), ("account.txt", account(made))):
        golden = ASSETS / "expected" / f"{case}.{name}"
        if RENEW:
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(text)
        assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES)
def test_the_new_file_is_valid(case: str) -> None:
    data = tomllib.loads(imported(case).toml)
    spec = {name: table for name, table in data.items() if name != "dash"}
    assert read(Spec, spec)[1] == []
    assert read_spec(data)[1] == []


LINE = {
    "circus": r"^(?![;#\[]|rem\b)\S.*?[=:]",
    "supervisord": r"^[a-z_.]+\s*=",
    "systemd": r"^[A-Z]\w+\s*=\s*\S",
    "pm2": r"^\s{6}[a-z]\w*:",
}


@pytest.mark.parametrize("case", LINE)
def test_every_line_of_the_source_is_in_the_account(case: str) -> None:
    made = imported(case)
    told = {note.where for note in (*made.of("kept"), *made.of("changed"), *made.of("lost"))}
    kind, paths = CASES[case]
    missing = [
        f"{path}:{number}"
        for path in paths
        for number, line in enumerate(asset(kind, path).rows(), 1)
        if re.match(LINE[case], line) and f"{path}:{number}" not in told
    ]
    assert missing == []
