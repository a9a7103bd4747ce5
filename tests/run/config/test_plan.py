"""A plan names every change, in an order that works, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.config.load import read_spec
from chapiteau.run.config.plan import Plan, make_plan
from chapiteau.run.config.spec import Spec


def spec(**raw: object) -> Spec:
    made, problems = read_spec(raw)
    assert made is not None, problems
    return made


BASE = {
    "socket": {"web": {"port": 8000}},
    "service": {
        "db": {"command": "db"},
        "web": {"command": "web", "sockets": ["web"], "needs": ["db"], "processes": 2},
        "worker": {"command": "worker", "needs": ["db"]},
    },
}


def changed(service: str = "", socket: str = "", **settings: object) -> Spec:
    raw = {k: {n: dict(part) for n, part in v.items()} for k, v in BASE.items()}
    raw["socket" if socket else "service"][socket or service].update(settings)
    return spec(**raw)


def effects(plan: Plan) -> list[tuple[str, str, str]]:
    return [(c.what, c.name, c.effect) for c in plan.changes]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(changed("web"), [], id="nothing changed"),
        pytest.param(
            changed("web", command="web2"),
            [("service", "web", "reload")],
            id="a new command with a held socket reloads",
        ),
        pytest.param(
            changed("worker", command="w2"),
            [("service", "worker", "restart")],
            id="a new command without a held socket restarts",
        ),
        pytest.param(
            changed("web", processes=6), [("service", "web", "scale")], id="a count scales"
        ),
        pytest.param(
            changed("web", processes=6, env={"A": "1"}),
            [("service", "web", "reload")],
            id="the greater effect wins",
        ),
        pytest.param(
            changed("web", restart={"attempts": 3}),
            [("service", "web", "apply")],
            id="policy just applies",
        ),
        pytest.param(
            changed("web", limits={"open_files": 99}),
            [("service", "web", "reload")],
            id="an rlimit is given at spawn",
        ),
        pytest.param(
            changed(socket="web", port=8001),
            [("socket", "web", "replace"), ("service", "web", "reload")],
            id="another port replaces the socket, and who uses it",
        ),
        pytest.param(
            changed(socket="web", backlog=99),
            [("socket", "web", "apply")],
            id="a backlog changes in place",
        ),
    ],
)
def test_effects(new: Spec, expected: list[tuple[str, str, str]]) -> None:
    assert effects(make_plan(changed("web"), new)) == expected


def test_one_of_fifty_services_is_all_that_changes() -> None:
    fifty = {f"s{n}": {"command": f"run {n}"} for n in range(50)}
    one = {**fifty, "s17": {"command": "run other"}}
    assert effects(make_plan(spec(service=fifty), spec(service=one))) == [
        ("service", "s17", "restart")
    ]


def test_a_plan_in_a_line_says_of_what() -> None:
    plan = make_plan(spec(**BASE), changed("web", command="web --fast"))
    assert plan.brief() == "1 change: service web"
    others = {f"w{n}": {"command": "w"} for n in range(5)}
    many = make_plan(spec(), spec(service=others))
    assert many.brief() == "5 changes: service w0, service w1, service w2 and 2 more"


def test_services_go_before_what_they_need_and_come_after_it() -> None:
    full = changed("web")
    empty = replace(full, service={}, socket={})
    assert effects(make_plan(empty, full)) == [
        ("socket", "web", "bind"),
        ("service", "db", "start"),
        ("service", "web", "start"),
        ("service", "worker", "start"),
    ]
    gone = effects(make_plan(full, empty))
    assert gone[-1] == ("socket", "web", "close")
    assert gone.index(("service", "db", "stop")) == 2


def test_another_run_dir_is_refused() -> None:
    plan = make_plan(spec(), spec(project={"run_dir": "elsewhere"}))
    assert [c.name or c.what for c in plan.refused] == ["project"]


def test_the_environments_values_are_not_told() -> None:
    plan = make_plan(
        changed("web", env={"KEY": "old-canary"}), changed("web", env={"KEY": "new-canary"})
    )
    assert "canary" not in plan.text() + str(plan.to_dict())
    assert "env.KEY" in plan.text()


def test_the_text_is_a_table() -> None:
    plan = make_plan(changed("web"), changed("web", processes=6))
    assert plan.text() == "~ service web  scale  processes 2 → 6"
    assert Plan().text() == "nothing would change"


NAMES = st.sampled_from(["a", "b", "c", "d"])
SERVICES = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {"command": st.sampled_from(["x", "y"])},
        optional={
            "processes": st.integers(1, 3),
            "sockets": st.just(["web"]),
            "nice": st.integers(0, 2),
            "autostart": st.booleans(),
        },
    ),
)
SPECS = st.builds(
    lambda services, port: spec(service=services, socket={"web": {"port": port}}),
    SERVICES,
    st.sampled_from([1, 2]),
)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("run 'a b' c", ["run", "a b", "c"], True),
        ("run  a", "run a", True),
        ("run 'a b'", ["run", "a", "b"], False),
    ],
)
def test_a_command_written_another_way_is_no_change(one: object, two: object, same: bool) -> None:
    plan = make_plan(changed("db", command=one), changed("db", command=two))
    assert (not plan) == same


def test_a_shell_sees_a_line_as_it_stands() -> None:
    one, two = (changed("db", command=line, shell=True) for line in ("run  a", "run a"))
    assert effects(make_plan(one, two)) == [("service", "db", "restart")]


@given(SPECS)
def test_equal_specs_give_an_empty_plan(one: Spec) -> None:
    assert not make_plan(one, one)


@given(SPECS, SPECS)
def test_making_every_change_of_a_plan_leads_from_the_old_to_the_new(old: Spec, new: Spec) -> None:
    services, sockets = dict(old.service), dict(old.socket)
    for change in make_plan(old, new).changes:
        held, wanted = (
            (services, new.service) if change.what == "service" else (sockets, new.socket)
        )
        if change.kind == "remove":
            del held[change.name]  # type: ignore[attr-defined]
        else:
            assert (change.name in held) == (change.kind == "change")
            held[change.name] = wanted[change.name]  # type: ignore[index]
    assert (services, sockets) == (new.service, new.socket)
