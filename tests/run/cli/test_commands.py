"""The command line against a supervisor in memory: words in, calls and exit codes out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chapiteau.cli.groups import main
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import Problem
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SupervisorStatus
from chapiteau.run.cli.lines import LinePrinter, event_line
from chapiteau.run.cli.options import service_amounts, service_names, signal_names
from chapiteau.run.cli.status_table import status_table
from chapiteau.run.cli.top import screen
from chapiteau.run.cli.waiting import pending_and_failed
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, Outcome
from tests.run.memory import Memory, memory_supervisor


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    monkeypatch.chdir(tmp_path)
    with memory_supervisor(tmp_path, {"web": 2, "web-admin": 1, "worker": 1}) as found:
        yield found


def cli(*words: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr with the error's words) as the front door would give them."""
    done = CliRunner().invoke(main, words)
    if isinstance(done.exception, ChapiteauError):
        error = done.exception
        return error.exit_code, done.stdout, f"{done.stderr}{error.what} {error.hint}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "call"),
    [
        pytest.param(["start"], ("start", "all", {"wait": True}), id="start all"),
        pytest.param(["start", "web"], ("start", "web", {"wait": True}), id="start one"),
        pytest.param(
            ["stop", "web", "worker", "--no-wait"],
            ("stop", "web,worker", {"wait": False}),
            id="several",
        ),
        pytest.param(
            ["restart", "web*", "--timeout", "1m30s"],
            ("restart", "web*", {"wait": True, "timeout": 90.0}),
            id="glob",
        ),
        pytest.param(
            ["restart", "web", "--process", "2"],
            ("restart", "web", {"wait": True, "process": 2}),
            id="one process",
        ),
        pytest.param(["run", "reopen"], ("reopen", "all", {}), id="reopen"),
        pytest.param(["reload", "all"], ("reload", "all", {"wait": True}), id="reload"),
        pytest.param(
            ["scale", "web=4"], ("scale", "web", {"wait": True, "processes": 4}), id="scale to"
        ),
        pytest.param(
            ["scale", "web", "4"], ("scale", "web", {"wait": True, "processes": 4}), id="N"
        ),
        pytest.param(
            ["scale", "web=+1"], ("scale", "web", {"wait": True, "by": 1}), id="scale more"
        ),
        pytest.param(
            ["scale", "web", "--by", "-1"],
            ("scale", "web", {"wait": True, "by": -1}),
            id="scale fewer",
        ),
        pytest.param(
            ["signal", "sighup", "web"], ("signal", "web", {"signal": "HUP"}), id="signal"
        ),
    ],
)
def test_deeds(memory: Memory, words: list[str], call: tuple[str, str, dict[str, Any]]) -> None:
    code, out, _ = cli(*words)
    assert code == 0
    assert out
    assert [c[:3] for c in memory.supervisor.commands] == [call]


def test_every_command_is_in_the_group_too(memory: Memory) -> None:
    assert cli("run", "stop", "web")[0] == 0
    assert memory.supervisor.running["web"] == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(["stop"], 2, "stop all", id="stop what"),
        pytest.param(["scale", "web"], 2, "NAME=N", id="scale to what"),
        pytest.param(["scale", "web=-1"], 2, "scale web --by -1", id="a negative number"),
        pytest.param(["scale", "web=4", "--by", "1"], 2, "take one", id="scale to and by"),
        pytest.param(["scale", "web=many"], 2, "NAME=N", id="no number"),
        pytest.param(["signal", "web", "HUP"], 2, "first the signal", id="signal words swapped"),
        pytest.param(["restart", "wbe"], 3, "did you mean 'web'?", id="unknown service"),
        pytest.param(["status", "wbe"], 3, "did you mean 'web'?", id="status of an unknown one"),
        pytest.param(["stop", "web", "--timeout", "soon"], 2, "not a duration", id="bad time"),
        pytest.param(["logs", "--grep", "("], 2, "regular expression", id="bad regex"),
        pytest.param(["logs", "--since", "soon"], 2, "is no time", id="bad moment"),
        pytest.param(["run", "set", "web"], 2, "set what?", id="set what"),
        pytest.param(["run", "set", "web", "nice"], 2, "SETTING=VALUE", id="set to what"),
        pytest.param(["run", "set", "wbe", "nice=1"], 3, "did you mean 'web'?", id="set whose"),
        pytest.param(["run", "get", "web", "proceses"], 3, "processes", id="no such setting"),
        pytest.param(["run", "get", "web*"], 2, "2 services", id="get of several"),
        pytest.param(["statsu"], 2, "did you mean 'status'?", id="unknown command"),
        pytest.param(["run", "statsu"], 2, "did you mean 'status'?", id="unknown in the group"),
    ],
)
def test_wrong_words(memory: Memory, words: list[str], code: int, says: str) -> None:
    found, out, err = cli(*words)
    assert (found, out) == (code, "")
    assert says in err


def test_settings_are_set_given_back_and_looked_at(memory: Memory) -> None:
    assert cli("run", "set", "web", "stop_signal=9", "processes=4", "env.A=x=y")[0] == 0
    assert cli("run", "set", "web*", "--reset", "env")[0] == 0
    assert cli("run", "set", "web", "--reset")[0] == 0
    assert [call[1:3] for call in memory.supervisor.commands] == [
        ("web", {"settings": {"stop_signal": "9", "processes": 4, "env.A": "x=y"}, "reset": []}),
        ("web*", {"settings": {}, "reset": ["env"]}),
        ("web", {"settings": {}, "reset": ["*"]}),
    ]
    memory.supervisor.commands.clear()
    cli("run", "add", "clock", "nice=3", "env.A=1", "--", "sh", "-c", "x=1 date")
    cli("run", "rm", "web")
    assert [call[1:3] for call in memory.supervisor.commands] == [
        ("clock", {"settings": {"nice": 3, "env.A": "1", "command": ["sh", "-c", "x=1 date"],
                                "+": True}, "reset": []}),
        ("web", {"settings": {"-": True}, "reset": []}),
    ]  # fmt: skip
    assert cli("run", "get", "web", "processes")[1].split() == ["processes", "2"]
    assert json.loads(cli("run", "get", "web", "--json")[1])["settings"] == {"processes": 2}


def test_partial_failure_is_exit_code_7_in_text_and_json(memory: Memory) -> None:
    memory.supervisor.fail["restart"] = Outcome(
        ok=False, text="web restarted", error="worker failed", exit_code=7, data={"bad": ["worker"]}
    )
    assert cli("restart", "all")[0] == 7
    code, out, _ = cli("restart", "all", "--json")
    assert code == 7
    assert json.loads(out)["data"] == {"bad": ["worker"]}


def test_status_in_every_form(memory: Memory) -> None:
    table = cli("status")[1]
    assert "web        running  2/2" in table
    assert "web.2" not in table
    assert "  .2       running  yes" in cli("status", "-o", "wide")[1]
    assert cli("status", "-o", "name")[1].split() == ["web", "web-admin", "worker"]
    assert [s["name"] for s in json.loads(cli("status", "--json")[1])["services"]] == [
        "web", "web-admin", "worker",
    ]  # fmt: skip
    (only,) = json.loads(cli("status", "worker", "--json")[1])["services"]
    assert only["name"] == "worker"


def test_logs_are_filtered_and_cannot_steer_the_terminal(memory: Memory) -> None:
    memory.do(memory.supervisor.say, "web", "bad \x1b]0;title\x07\x1b[31mred\u202e", process=2)
    memory.do(memory.supervisor.say, "worker", "fine")
    assert cli("logs", "web")[1] == "web.2 | bad ␛]0;title\\x07red\\x202e\n"
    assert json.loads(cli("logs", "worker", "--json")[1])["text"] == "fine"
    assert cli("logs", "--grep", "^f")[1] == "worker.1 | fine\n"


def test_events_are_chosen_by_service_and_kind(memory: Memory) -> None:
    for kind, service in (("service.ready", "web"), ("process.exited", "web"), ("x.y", "worker")):
        memory.do(memory.supervisor.happen, kind, service=service, text=f"{service}!")
    assert "process.exited web web!" in cli("events", "web", "--kind", "process.*")[1]
    kinds = [json.loads(line)["kind"] for line in cli("events", "--json")[1].splitlines()]
    assert kinds == ["service.ready", "process.exited", "x.y"]
    assert cli("events", "--after", "2", "-c", str(memory.folder))[1].count("\n") == 1


def test_plan_shows_changes_and_reload_without_names_applies_them(memory: Memory) -> None:
    assert cli("plan")[1] == "nothing would change\n"
    memory.supervisor.changes = [{"kind": "add", "text": "+ service new  start"}]
    assert cli("plan")[1] == "+ service new  start\n"
    assert json.loads(cli("plan", "--json")[1])["data"]["applied"] is False
    assert json.loads(cli("reload", "--json")[1])["data"]["applied"] is True


def test_down_ends_the_supervisor_and_is_content_when_there_is_none(memory: Memory) -> None:
    assert cli("down", "--no-wait")[0] == 0
    memory.end()
    while cli("status")[0] != 5:
        pass
    assert cli("down") == (0, "", "nothing runs\n")


def test_check_tells_all_problems_as_json(memory: Memory) -> None:
    assert cli("check")[1] == "chapiteau.toml: no problems (3 services, 0 sockets)\n"
    (memory.folder / "chapiteau.toml").write_text("[service.a]\n[sevice.b]\n")
    code, out, _ = cli("check", "--json")
    assert code == 8
    assert [p["where"] for p in json.loads(out)["problems"]] == [
        "chapiteau.toml:1", "chapiteau.toml:2",
    ]  # fmt: skip


def test_check_looks_into_the_sections_of_the_other_wings(memory: Memory) -> None:
    path = memory.folder / "chapiteau.toml"
    path.write_text("[dash]\nprot = 1\n[hub]\nport = 70000\n[load.peak]\nuser = 3\n")
    _, out, _ = cli("check", "--json")
    told = {p["where"]: p["hint"] or p["what"] for p in json.loads(out)["problems"]}
    assert told == {
        "chapiteau.toml:2": "did you mean 'port'?",
        "chapiteau.toml:4": "hub.port: must be 65535 or less, not 70000",
        "chapiteau.toml:5": "a URL, a scenario file, or openapi",
        "chapiteau.toml:6": "did you mean 'users'?",
    }


def test_check_tells_syntax_types_rules_and_references_in_one_round(memory: Memory) -> None:
    (memory.folder / "chapiteau.toml").write_text(
        "[project\n[socket.web]\nport = \n[service.web]\n"
        'command = "sleep 5\nsockets = ["web"]\nprocesses = "x"\numask = "99"\n'
        '[service.db\ncommand = "x"\n[service.c]\ncomand = "y"\nneeds = ["db", "nodb"]\n'
        'ready.http = "foo"\n[plugin.p]\nuse = "flaping"\n'
        '[load.a]\nusers = "x"\nobjective = "p99 ~ 3"\ntarget = "http://x"\n'
    )
    _, out, _ = cli("check", "--json")
    told = [p["where"].partition(":")[2] for p in json.loads(out)["problems"]]
    assert told == ["1", "3", "5", "7", "8", "9", "12", "13", "14", "16", "18", "19"]


def test_up_says_what_to_write_when_there_is_nothing_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chapiteau.toml").write_text("[socket.web]\nport = 0\n")
    code, _, err = cli("up")
    assert code == 2
    assert "no service" in err
    assert "[service.web]" in err
    assert "it has no service yet" in cli("check")[2]


def test_tab_knows_the_services_of_the_file(memory: Memory) -> None:
    import click

    from chapiteau.run.cli.verbs import stop

    context = click.Context(stop)
    context.params = {"config": str(memory.folder)}
    assert service_names(context, stop.params[0], "web") == ["web", "web-admin"]
    assert service_amounts(context, stop.params[0], "web-") == ["web-admin="]
    assert signal_names(context, stop.params[0], "sigh") == ["HUP"]
    context.params = {"config": "/nowhere"}
    assert service_names(context, stop.params[0], "") == []


# ── what people read ──────────────────────────────────────────────────────────────────────────


def a_status(*services: ServiceStatus, problems: tuple[Problem, ...] = ()) -> SupervisorStatus:
    return SupervisorStatus(
        project="shop", node="n1", pid=2, keeper_pid=1, version="0", config="c", generation=1,
        started_at=1000.0, brain_restarts=1, services=services, sockets=(), problems=problems,
        dashboard="http://127.0.0.1:1",
    )  # fmt: skip


def a_service(name: str, state: str, **facts: Any) -> ServiceStatus:
    return ServiceStatus(name=name, state=state, **{"wanted": 1, "ready": 0, **facts})


DEAD = ProcessStatus(
    number=1,
    pid=0,
    state="backoff",
    last_exit={"code": 3, "cause": "import error", "lines": ["ModuleNotFoundError: shop"]},
)


def test_a_job_that_ended_well_is_nothing_wrong() -> None:
    done = ProcessStatus(
        number=1, pid=7, state="running", last_exit={"code": 0, "text": "exit 0", "lines": ["ok"]}
    )
    text = status_table(
        a_status(
            a_service("nightly", "running", schedule="@every 1h", processes=(done,)),
            a_service("loops", "running", processes=(done,)),
        ),
        1090.0,
    )
    assert "nightly.1" not in text
    assert "loops.1: exit 0" in text


def test_the_board_tells_what_is_wrong_first() -> None:
    text = status_table(
        a_status(
            a_service("web", "backoff", processes=(DEAD,)),
            a_service("ok", "running", ready=1),
            a_service("gone", "failed", reason="gave up"),
            problems=(Problem("web", "restarts in a loop: exit 3", "chapiteau logs web"),),
        ),
        1090.0,
    )
    assert text.splitlines()[:7] == [
        "shop on n1: 1 of 3 processes ready, up 1m30s, brain restarted 1×",
        "dashboard http://127.0.0.1:1 (log in: `chapiteau dash url`)",
        "! web: restarts in a loop: exit 3",
        "    chapiteau logs web",
        "    | ModuleNotFoundError: shop",
        "! gone is failed: gave up",
        "",
    ]


def test_a_loop_counts_as_failed_and_a_start_as_pending() -> None:
    status = a_status(
        a_service("web", "backoff"),
        a_service("slow", "starting"),
        a_service("once", "completed", one_shot=True),
        a_service("off", "stopped"),
        a_service("up", "running", ready=1),
        a_service("half", "running", wanted=2, ready=1),
        problems=(Problem("web", "restarts in a loop"),),
    )
    assert pending_and_failed(status) == (["slow", "half"], ["web"])


def test_colours_of_programs_pass_and_other_escapes_do_not() -> None:
    line = LogLine(time=0, service="web", process=1, stream="stdout", text="\x1b[31mred\x1b[2Jx")
    assert LinePrinter(colour=True).line(line).endswith("\x1b[31mred␛[2Jx\x1b[0m")
    assert LinePrinter(colour=False).line(line) == "web.1 | red␛[2Jx"
    assert "7 lines lost" in LinePrinter(colour=False).line(Gap(7))


def test_further_lines_of_an_event_are_indented() -> None:
    event = Event(seq=1, time=0.0, kind="process.exited", service="web", process=2, text="a\nb")
    assert event_line(event, colour=False, wall=False) == "process.exited web.2 a\n    b"


def test_top_sorts_fits_the_terminal_and_says_what_it_leaves_out() -> None:
    look = {
        "ids": [f"web/{n}" for n in range(1, 31)],
        "pid": list(range(101, 131)),
        "cpu": [float(n) for n in range(30)],
        "rss": [2**20] * 30,
        "threads": [1] * 30,
        "sockets": {"web": {"queued": 7}},
        "supervisor": {"cpu": 0.5, "rss": 2**25},
        "host": {"load1": 0.25},
    }
    lines = screen(look, size=(60, 12)).splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("30 processes, CPU 435.0 %, memory 30MiB")
    assert lines[1] == "waiting connections: web 7"
    assert lines[4].split()[:3] == ["web.30", "130", "29.0"]
    assert lines[-1] == "… and 24 more"
    assert screen(look, sort="name", size=(80, 12)).splitlines()[4].startswith("web.1 ")


def test_top_in_a_pipe_is_text_or_json(memory: Memory) -> None:
    assert json.loads(cli("top", "-n", "1", "--json")[1])["ids"] == []
    assert cli("top", "-n", "1")[1].startswith("0 processes")
