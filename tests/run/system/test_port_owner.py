"""Who holds a port is found in /proc."""

import os
import socket
from pathlib import Path

import pytest

from chapiteau.run.system.port_owner import has_accepted, port_owner, socket_owners
from tests.support import free_port


def test_a_listener_is_named_with_its_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert f"pid {os.getpid()} (" in port_owner(taken.getsockname()[1])


def test_a_listener_on_ipv6_and_a_udp_socket_are_found_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        assert f"pid {os.getpid()}" in port_owner(taken.getsockname()[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        assert f"pid {os.getpid()}" in port_owner(taken.getsockname()[1])


def test_a_free_port_is_held_by_nobody() -> None:
    assert port_owner(free_port()) == ""


def test_a_hidden_holder_is_told_by_its_uid(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33 0 4711\n"
        "   1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000    44 0 4712\n"
    )
    assert port_owner(8080, proc=tmp_path) == "a process of uid 33 (run as root to see which)"
    assert port_owner(8081, proc=tmp_path) == ""  # connected, not listening


def test_all_who_share_a_socket_are_found_and_the_hidden_ones_counted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        inode = os.fstat(taken.fileno()).st_ino
        found, _ = socket_owners({inode})
        assert os.getpid() in dict(found)
        assert socket_owners({inode}, proc=tmp_path) == ([], 0)


def test_without_proc_nobody_is_known(tmp_path: Path) -> None:
    assert port_owner(8080, proc=tmp_path) == ""


@pytest.mark.parametrize("kind", ["127.0.0.1", "::1", "unix"])
def test_who_has_accepted_a_connection_is_told_from_who_lets_it_wait(
    tmp_path: Path, kind: str
) -> None:
    path = str(tmp_path / "s")
    families = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6, "unix": socket.AF_UNIX}
    where = path if kind == "unix" else (kind, 0)
    with socket.socket(families[kind]) as listener, socket.socket(families[kind]) as client:
        listener.bind(where)
        listener.listen()
        found = listener.getsockname()
        address = path if kind == "unix" else f"[{found[0]}]:{found[1]}"
        assert not has_accepted(os.getpid(), address)
        client.connect(found)
        assert not has_accepted(os.getpid(), address), "it waits in the queue"
        with listener.accept()[0]:
            assert has_accepted(os.getpid(), address)
            assert not has_accepted(2**22, address)
