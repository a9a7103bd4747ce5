"""The hub's file: narrow rights, and several readers and writers at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.core.fields import read
from chapiteau.dash.auth import sessions as passwords
from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.auth.sessions import Sessions, hash_password, password_fits
from chapiteau.dash.errors import LoginError
from chapiteau.dash.nodes.registry import Registry
from chapiteau.dash.settings import Dash
from chapiteau.dash.store import Store, StoredSession
from chapiteau.io.clock import SystemClock

WRITER = """
import sys
from pathlib import Path
from chapiteau.dash.store import Store
store = Store(Path(sys.argv[1]))
store.keep_account(sys.argv[2], 1, "x", 1.0)
store.close()
"""


def write_from_outside(path: Path, name: str) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(path), name], check=True, timeout=60)


@pytest.mark.slow
def test_two_connections_here_and_writers_elsewhere_lose_nothing(tmp_path: Path) -> None:
    """A second connection of this process must not drop the first one's locks."""
    path = tmp_path / "hub.sqlite3"
    store = Store(path)
    registry = Registry(path)
    for number in range(3):
        store.keep_account(f"here{number}", 1, "x", 1.0)
        write_from_outside(path, f"there{number}")
        registry.admit(f"n{number}", f"S{number}", 9.0, 1.0)
    expected = sorted(f"{where}{n}" for where in ("here", "there") for n in range(3))
    assert [name for name, _ in store.accounts()] == expected
    store.close()
    registry.close()
    again = Store(path)
    assert [name for name, _ in again.accounts()] == expected
    again.close()


def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "run" / "hub.sqlite3")
    store.audit(who="ana", verb="stop", target="n/web", result="done", time=1.0)
    for file in (tmp_path / "run").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    store.close()


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(ChapiteauError, match="not usable") as told:
        Store(path)
    assert "move it away" in told.value.hint


def test_an_account_that_goes_takes_its_sessions_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.sqlite3")
    store.keep_account("ana", 2, "x", 1.0)
    store.keep_session("h", StoredSession(name="ana", role=2, made=1.0, used=1.0))
    assert store.touch_session("h", 5.0)
    assert store.sessions()["h"].used == 5.0
    assert store.drop_account("ana")
    assert not store.touch_session("h", 6.0)
    assert not store.drop_account("ana")
    store.close()


def made_sessions(store: Store) -> Sessions:
    settings, _ = read(Dash, {}, ("dash",))
    assert settings is not None
    return Sessions(store, SystemClock(), settings, lambda: None)


@pytest.mark.parametrize("change", ["role", "password", "removed"])
async def test_a_changed_account_ends_its_sessions_at_once(tmp_path: Path, change: str) -> None:
    """`chapiteau dash user` writes from another process; a session must not go on."""
    store, elsewhere = Store(tmp_path / "hub.sqlite3"), Store(tmp_path / "hub.sqlite3")
    kept = hash_password("correct horse")
    store.keep_account("ana", 3, kept, 1.0)
    store.keep_account("bob", 3, kept, 1.0)
    sessions = made_sessions(store)
    hers = await sessions.use_password("ana", "correct horse", "::1")
    his = await sessions.use_password("bob", "correct horse", "::1")
    assert sessions.caller(hers) == Caller(name="ana", role=Role.ADMIN)
    if change == "role":
        elsewhere.keep_account("ana", 1, kept, 2.0)
    elif change == "password":
        elsewhere.keep_account("ana", 3, hash_password("battery staple"), 2.0)
    else:
        elsewhere.drop_account("ana")
    assert not sessions.holds(hers)
    assert sessions.caller(hers) is None
    assert sessions.caller(his) == Caller(name="bob", role=Role.ADMIN)
    for part in (store, elsewhere):
        part.close()


async def test_an_account_changed_during_its_login_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "hub.sqlite3")
    kept = hash_password("correct horse")
    store.keep_account("ana", 3, kept, 1.0)

    sessions = made_sessions(store)
    begin = sessions.begin

    def changed_meanwhile(caller: Caller) -> str:
        store.keep_account("ana", 1, kept, 2.0)
        return begin(caller)

    monkeypatch.setattr(sessions, "begin", changed_meanwhile)
    with pytest.raises(LoginError, match="changed meanwhile"):
        await sessions.use_password("ana", "correct horse", "::1")
    assert store.sessions() == {}
    store.close()


async def test_a_session_of_a_full_disk_ends_with_its_account_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "hub.sqlite3")
    kept = hash_password("correct horse")
    store.keep_account("ana", 3, kept, 1.0)
    sessions = made_sessions(store)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_session", full)
        hers = await sessions.use_password("ana", "correct horse", "::1")
    assert sessions.caller(hers) is not None
    store.keep_account("ana", 1, kept, 2.0)
    assert sessions.caller(hers) is None
    store.close()


def test_the_audit_trail_is_read_newest_first_in_pages(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.sqlite3")
    for number in range(5):
        store.audit(who="ana", verb="stop", target=str(number), result="done", time=1.0)
    first = list(store.audit_trail(most=2))
    assert [entry["target"] for entry in first] == ["4", "3"]
    assert [e["target"] for e in store.audit_trail(before=first[-1]["seq"])] == ["2", "1", "0"]
    store.close()


@pytest.mark.parametrize("argon2", [True, False])
def test_a_password_fits_itself_and_nothing_else(
    argon2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HAS_ARGON2", argon2)
    kept = hash_password("correct horse")
    assert kept.startswith("$argon2id$" if argon2 else "scrypt$")
    assert "correct" not in kept
    assert password_fits("correct horse", kept)
    assert not password_fits("Correct horse", kept)
    assert not password_fits("correct horse", passwords.nobody())
    assert hash_password("correct horse") != kept


def test_a_hash_of_argon2_without_argon2_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = hash_password("correct horse")
    monkeypatch.setattr(passwords, "HAS_ARGON2", False)
    with pytest.raises(UsageError, match="Argon2id") as told:
        password_fits("correct horse", kept)
    assert "chapiteau[hub]" in told.value.hint


async def test_what_scrypt_hashed_is_hashed_anew_at_the_next_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "hub.sqlite3")
    monkeypatch.setattr(passwords, "HAS_ARGON2", False)
    store.keep_account("ana", 2, hash_password("correct horse"), 1.0)
    monkeypatch.setattr(passwords, "HAS_ARGON2", True)
    sessions = made_sessions(store)
    with pytest.raises(LoginError):
        await sessions.use_password("ana", "wrong", "::1")
    assert store.account("ana")[1].startswith("scrypt$")  # type: ignore[index]
    for _ in range(2):
        caller = sessions.caller(await sessions.use_password("ana", "correct horse", "::1"))
        assert caller == Caller(name="ana", role=Role.OPERATOR)
        assert store.account("ana")[1].startswith("$argon2id$")  # type: ignore[index]
    store.close()


_FULL_DISK = """
import resource, sys
from pathlib import Path
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.store import Store, StoredSession

store = Store(Path(sys.argv[1]))
for name in ("ana", "bo"):
    session = StoredSession(name=name, role=3, made=1.0, used=1.0)
    store.keep_session((name.encode() * 32)[:32].hex(), session)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.audit(who="ana", verb="stop", target="", result="", time=1.0)
except Exception as exc:
    print(exc)
store.drop_session((b"ana" * 32)[:32].hex())
print(sorted(s.name for s in Store(Path(sys.argv[1])).sessions().values()))
if len(sys.argv) > 2:
    Path(sys.argv[1]).with_suffix(".ended").unlink()
    try:
        store.drop_session((b"bo" * 32)[:32].hex())
    except ChapiteauError as exc:
        print(exc.what)
import os
os._exit(0)  # as killed: nothing is tidied up
"""


@pytest.mark.parametrize("reserve", [True, False])
def test_a_logout_on_a_full_disk_does_not_come_back(tmp_path: Path, reserve: bool) -> None:
    path = tmp_path / "hub.sqlite3"
    command = [sys.executable, "-u", "-c", _FULL_DISK, str(path), *([] if reserve else ["without"])]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0].endswith(("disk I/O error", "database or disk is full"))
    assert told[1] == "['bo']"
    if not reserve:
        assert told[2].startswith("logged out until the hub starts anew: it can't be stored")
        return
    for _ in range(2):  # there is room again: it is dropped, and the reserve is free
        store = Store(path)
        assert [session.name for session in store.sessions().values()] == ["bo"]
        store.close()
    assert path.with_suffix(".ended").read_bytes() == bytes(4096)
