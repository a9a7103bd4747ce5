"""Which callers have which role."""

import pytest

from chapiteau.run.config.access import ROLES, Access, Caller, Role, principal_problem

ACCESS = Access(own_uid=1000, uids={7: "viewer", 8: "admin"}, gids={33: "operator", 7: "viewer"})


@pytest.mark.parametrize(
    ("uid", "gids", "role"),
    [
        pytest.param(0, [], "admin", id="root"),
        pytest.param(1000, [], "admin", id="the supervisor's own user"),
        pytest.param(7, [], "viewer", id="by uid"),
        pytest.param(9, [33], "operator", id="by gid"),
        pytest.param(7, [33], "operator", id="the higher of two"),
        pytest.param(9, [9], None, id="a stranger"),
        pytest.param(-1, [], None, id="nobody"),
    ],
)
def test_roles(uid: int, gids: list[int], role: Role | None) -> None:
    assert ACCESS.role(Caller(uid=uid, gids=frozenset(gids))) == role


@pytest.mark.parametrize("least", ROLES)
def test_a_role_may_do_what_the_roles_below_it_may(least: Role) -> None:
    callers = {"viewer": 7, "operator": 9, "admin": 8}
    for role, uid in callers.items():
        caller = Caller(uid=uid, gids=frozenset({33} if role == "operator" else ()))
        allowed = ROLES.index(role) >= ROLES.index(least)  # type: ignore[arg-type]
        assert ACCESS.may(caller, least) == allowed
    assert not ACCESS.may(Caller(uid=99), least)


@pytest.mark.parametrize("text", ["user:a", "group:www-data", "uid:0", "gid:33"])
def test_people_and_groups_can_be_named(text: str) -> None:
    assert principal_problem(text) == ""


@pytest.mark.parametrize("text", ["", "www", "user:", "uid:x", "group:a b", "everybody:x"])
def test_other_words_name_nobody(text: str) -> None:
    assert "names nobody" in principal_problem(text)
