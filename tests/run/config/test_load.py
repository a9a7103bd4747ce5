"""A configuration is a Spec, or every problem of it at once, each at its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.problems import Problem
from chapiteau.run.config.load import read_spec
from chapiteau.run.config.spec import Spec

SOCKET = {"web": {"port": 8000}}


def spec(**raw: Any) -> Spec:
    made, problems = read_spec(raw, name="folder")
    assert made is not None, problems
    return made


def problems(**raw: Any) -> list[Problem]:
    made, found = read_spec(raw, lambda path: ".".join(map(str, path)))
    assert (made is None) == bool(found)
    return found


def of_service(**settings: Any) -> list[Problem]:
    settings.setdefault("command", "run")
    return problems(socket=SOCKET, service={"web": settings, "db": {"command": "db"}})


def test_defaults_are_read_as_if_they_were_written() -> None:
    made = spec(service={"web": {"command": "x"}})
    assert made.project.name == "folder"
    assert made.service["web"].restart.max_delay == 60.0
    assert made.service["web"].stop_timeout == 10.0
    assert made.log.max_size == 50 * 2**20


def test_a_services_own_log_stands_on_top_of_the_common_one() -> None:
    made = spec(
        log={"mode": "line", "keep": 9},
        service={"web": {"command": "x", "log": {"keep": 3}}, "db": {"command": "y"}},
    )
    own = made.service["web"].log
    assert own is not None
    assert (own.mode, own.keep) == ("line", 3)
    assert made.service["db"].log is None


def test_a_bad_common_log_is_told_once() -> None:
    found = problems(log={"keep": -1}, service={"web": {"command": "x", "log": {"keep": 3}}})
    assert [p.where for p in found] == ["log.keep"]


def test_parts_that_can_be_read_are_checked_though_others_cannot() -> None:
    found = problems(
        service={"a": {"command": 7}, "b": {"command": "x", "umask": "9"}, "c": {"needs": ["a"]}}
    )
    assert {p.where for p in found} == {
        "service.a.command",
        "service.b.umask",
        "service.c",
    }


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        pytest.param({"command": ""}, "has neither `command` nor `app`", id="nothing to run"),
        pytest.param({"command": "'x"}, "can't be split into words", id="open quote"),
        pytest.param({"command": " "}, "is empty", id="blank command"),
        pytest.param({"command": ["a\0b"]}, "NUL byte", id="NUL in the command"),
        pytest.param({"app": "a:b", "sockets": ["web"]}, "not both", id="command and app"),
        pytest.param({"command": "", "app": "a:b"}, "needs a socket", id="app without socket"),
        pytest.param(
            {"command": "", "app": "shop", "sockets": ["web"]},
            "is not module:factory",
            id="bad app",
        ),
        pytest.param({"shell": True, "command": ["a"]}, "one string", id="shell with a list"),
        pytest.param(
            {"command": "x ${socket.web.fd}"},
            "is not given that socket",
            id="fd of another's socket",
        ),
        pytest.param({"sockets": ["wbe"]}, "there is no socket 'wbe'", id="unknown socket"),
        pytest.param(
            {"stdin_socket": "wbe"}, "there is no socket 'wbe'", id="unknown stdin socket"
        ),
        pytest.param({"needs": ["dbb"]}, "there is no service 'dbb'", id="unknown need"),
        pytest.param({"after": ["dbb"]}, "there is no service 'dbb'", id="unknown after"),
        pytest.param({"needs": ["web"]}, "web → web", id="needs itself"),
        pytest.param({"on_demand": True}, "needs a socket to wait at", id="on demand of what"),
        pytest.param({"idle_stop": "5s"}, "on_demand = true", id="idle stop alone"),
        pytest.param({"limits": {"rlimits": {"mem": 1}}}, "'mem' is not a limit", id="no limit"),
        pytest.param(
            {"limits": {"rlimits": {"cpu": "1m"}}}, "'1m' is not a number", id="no such limit"
        ),
        pytest.param({"one_shot": True, "processes": 2}, "runs once", id="one-shot twice"),
        pytest.param({"one_shot": True, "scaling": {}}, "nothing to scale", id="one-shot scales"),
        pytest.param(
            {"one_shot": True, "on_demand": True, "sockets": ["web"]},
            "can't wait for connections",
            id="one-shot on demand",
        ),
        pytest.param({"max_age_spread": "1m"}, "without max_age", id="spread alone"),
        pytest.param({"schedule": "* * *"}, "is not a schedule", id="short cron line"),
        pytest.param({"schedule": "0 0 30 2 *"}, "never comes", id="the 30th of February"),
        pytest.param({"stop_signal": "TERN"}, "is not a signal", id="signal"),
        pytest.param({"reload_signal": "SIG"}, "is not a signal", id="reload signal"),
        pytest.param({"log": {"journald": True}}, "journald takes lines", id="journald raw"),
        pytest.param({"log": {"syslog": "/dev/log"}}, "syslog takes lines", id="syslog raw"),
        pytest.param(
            {"log": {"mode": "line", "syslog": "log.sock"}}, "no absolute path", id="syslog where"
        ),
        pytest.param(
            {"log": {"mode": "line", "syslog": "logs:abc"}}, "no absolute path", id="syslog port"
        ),
        pytest.param({"log": {"file": "all.log"}}, "a file of its own needs", id="file raw"),
        pytest.param({"capabilities": ["fly"]}, "is not a capability", id="capability"),
        pytest.param({"umask": "rw"}, "is not octal", id="umask"),
        pytest.param({"env": {"A=B": "x"}}, "is not a usable name", id="name of a variable"),
        pytest.param({"env": {"A": "x\0"}}, "NUL byte", id="NUL in a variable"),
        pytest.param({"env": {"A": {}}}, "either {file", id="secret from nowhere"),
        pytest.param(
            {"env": {"A": {"file": "f", "env": "E"}}}, "either {file", id="secret from two places"
        ),
        pytest.param(
            {"ready": {"tcp": "a:1", "notify": True}}, "one kind of check", id="two kinds of ready"
        ),
        pytest.param({"ready": {"http": "web"}}, "is not an URL", id="no URL"),
        pytest.param({"ready": {"http": "socket:wbe/"}}, "no socket 'wbe'", id="probe's socket"),
        pytest.param({"ready": {"tcp": "host"}}, "is not host:port", id="no port"),
        pytest.param({"ready": {"accept": "web"}}, "has no socket 'web'", id="accepts nowhere"),
        pytest.param({"ready": {"log": "("}}, "is not a regular expression", id="regex"),
        pytest.param(
            {"one_shot": True, "ready": {"alive": "1s"}}, "ends with 0", id="ready one-shot"
        ),
        pytest.param({"live": {}}, "exactly one", id="live without a kind"),
        pytest.param({"live": {"notify": True}}, "use `watchdog`", id="live by notify"),
        pytest.param({"scaling": {"min": 5}}, "is above max", id="min above max"),
        pytest.param({"processes": 9, "scaling": {}}, "is not between", id="outside of scaling"),
        pytest.param({"scaling": {"low": 80}}, "is not below high", id="low above high"),
        pytest.param({"scaling": {"metric": "queue"}}, "add sockets", id="queue of what"),
        pytest.param(
            {"limits": {"memory": "1MiB", "memory_soft": "1MiB"}}, "never acts first", id="soft"
        ),
        pytest.param({"restart": {"delay": "2m"}}, "restart.max_delay", id="delay above its cap"),
        pytest.param({"log": {"multiline": "["}}, "is not a regular expression", id="multiline"),
        pytest.param({"log": {"format": "json"}}, 'mode = "line"', id="JSON of raw bytes"),
    ],
)
def test_rules_of_a_service(settings: dict[str, Any], complaint: str) -> None:
    found = of_service(**settings)
    assert any(complaint in f"{p.what} {p.hint}" for p in found), found
    assert all(p.where.startswith("service.web") for p in found)


@pytest.mark.parametrize(
    "settings",
    [
        {"command": "gunicorn --bind fd://${socket.web.fd}", "sockets": ["web"]},
        {"command": "x ${socket.web.port}"},
        {"shell": True, "command": "a && b"},
        {"ready": {"http": "socket:web/ready"}, "live": {"tcp": "127.0.0.1:${socket.web.port}"}},
        {"stop_signal": "sigquit", "reload_signal": "RTMIN+1", "umask": "027"},
        {"capabilities": ["CAP_NET_BIND_SERVICE"], "schedule": "@every 10m"},
        {"env": {"A": "x", "B": {"file": "secret"}, "C": {"env": "C"}}},
        {"one_shot": True, "needs": ["db"], "after": ["db"]},
        {"processes": 2, "scaling": {"min": 1, "max": 4}},
    ],
    ids=" ".join,
)
def test_what_is_right_is_left_alone(settings: dict[str, Any]) -> None:
    assert of_service(**settings) == []


@pytest.mark.parametrize(
    ("sockets", "complaint"),
    [
        pytest.param({"a": {"mode": "0660"}}, "for Unix sockets only", id="mode of a TCP socket"),
        pytest.param({"a": {"path": "x", "mode": "rw"}}, "is not an octal mode", id="mode"),
        pytest.param({"a": {"path": "x", "port": 1}}, "not both", id="path and port"),
        pytest.param({"a": {"path": "x", "reuse_port": True}}, "TCP and UDP only", id="reuse_port"),
        pytest.param({"a.b": {}}, "is not a usable name", id="a dot in the name"),
        pytest.param({"a": {"port": 70000}}, "must be 65535 or less", id="port out of range"),
    ],
)
def test_rules_of_a_socket(sockets: dict[str, Any], complaint: str) -> None:
    (problem,) = problems(socket=sockets)
    assert complaint in problem.what


@pytest.mark.parametrize(
    ("one", "two", "clash"),
    [
        pytest.param({"port": 1}, {"port": 1}, True, id="the same port"),
        pytest.param({"port": 1}, {"port": 1, "host": "0.0.0.0"}, True, id="any address"),
        pytest.param({"port": 1}, {"port": 1, "host": "127.0.0.2"}, False, id="other address"),
        pytest.param({"port": 1}, {"port": 1, "type": "datagram"}, False, id="TCP and UDP"),
        pytest.param({"port": 0}, {"port": 0}, False, id="free ports"),
        pytest.param({"path": "x"}, {"path": "x"}, True, id="the same path"),
        pytest.param({"path": "x"}, {"path": "y"}, False, id="other paths"),
    ],
)
def test_two_sockets_on_one_address_name_both_places(
    one: dict[str, Any], two: dict[str, Any], clash: bool
) -> None:
    found = problems(socket={"a": one, "b": two})
    assert bool(found) == clash
    for problem in found:
        assert problem.where.startswith("socket.b.")
        assert "(socket.a." in problem.what


def test_a_ring_is_named_with_every_place() -> None:
    needs = {"a": ["b"], "b": ["c"], "c": ["a"], "d": []}
    found = problems(service={n: {"command": n, "needs": wanted} for n, wanted in needs.items()})
    assert [p.what for p in found] == [
        "service.a.needs: these wait for each other in a ring: a → b → c → a (service.b, service.c)"
    ]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("web", True),
        ("web.1-x_y", True),
        ("all", False),
        ("a b", False),
        ("-x", False),
        ("", False),
    ],
)
def test_names_of_services(name: str, good: bool) -> None:
    assert (problems(service={name: {"command": "x"}}) == []) == good


def test_people_must_be_named_rightly() -> None:
    found = problems(project={"operators": ["group:www", "www"], "viewers": ["uid:12"]})
    assert [p.where for p in found] == ["project.operators.1"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner:
       st.lists(inner, max_size=3) | st.dictionaries(
           st.sampled_from(["project", "socket", "service", "web", "command", "ready", "needs",
                            "env", "log", "port", "limits"]), inner, max_size=4)))  # fmt: skip
def test_whatever_is_written_gives_a_spec_or_problems(raw: Any) -> None:
    sections = raw if isinstance(raw, dict) else {"service": {"web": raw}}
    made, found = read_spec(sections)
    assert (made is None) == bool(found)
