"""Secrets are read at spawn, from private files only, and never shown."""

import os
from pathlib import Path

import pytest

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.run.config.spec import SecretRef, Service
from chapiteau.run.process.environment import read_secrets
from tests.support import as_root


def service(**ref: str) -> Service:
    return Service(command="x", env={"PW": SecretRef(**ref), "PLAIN": "1"})


def secret_file(folder: Path, mode: int = 0o600, content: bytes = b"canary\n") -> Path:
    path = folder / "pw"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_private_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    secret_file(tmp_path)
    (secret,) = read_secrets(service(file="pw"), tmp_path).values()
    assert secret.reveal() == "canary"
    assert "canary" not in f"{secret} {secret!r} {[secret]}"


def test_a_variable_of_the_supervisor_is_read(tmp_path: Path) -> None:
    found = read_secrets(service(env="DB_PW"), tmp_path, {"DB_PW": "canary"})
    assert found["PW"].reveal() == "canary"
    with pytest.raises(NotFoundError, match="DB_PW"):
        read_secrets(service(env="DB_PW"), tmp_path, {})


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o601])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    secret_file(tmp_path, mode)
    with pytest.raises(RefusedError) as caught:
        read_secrets(service(file="pw"), tmp_path)
    assert "canary" not in str(caught.value)


def test_a_group_may_read_a_secret(tmp_path: Path) -> None:
    secret_file(tmp_path, 0o640)
    assert read_secrets(service(file="pw"), tmp_path)["PW"].reveal() == "canary"


@as_root
def test_a_file_of_a_stranger_is_refused(tmp_path: Path) -> None:
    os.chown(secret_file(tmp_path), 65534, 65534)
    with pytest.raises(RefusedError, match="belongs to uid 65534"):
        read_secrets(service(file="pw"), tmp_path)


def test_what_is_not_there_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read_secrets(service(file="pw"), tmp_path)
    (tmp_path / "pw").mkdir(mode=0o700)
    with pytest.raises(RefusedError, match="not a plain file"):
        read_secrets(service(file="pw"), tmp_path)


def test_a_huge_file_is_a_mistake(tmp_path: Path) -> None:
    secret_file(tmp_path, content=b"x" * (1 << 20) + b"yy")
    with pytest.raises(RefusedError, match="larger than"):
        read_secrets(service(file="pw"), tmp_path)
