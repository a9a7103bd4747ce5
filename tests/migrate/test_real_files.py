"""What more public files hold, and what the import made of them before."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chapiteau.migrate.files import KINDS, detect
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.source import ImportOptions, Source
from tests.migrate.importing import convert, source


def only(made: ImportResult) -> dict[str, Any]:
    (found,) = tomllib.loads(made.toml)["service"].values()
    return found  # type: ignore[no-any-return]


def pm2(app: str, before: str = "") -> ImportResult:
    text = f"{before}\nmodule.exports = {{apps: [{{{app}}}]}}"
    return convert("pm2", text, "ecosystem.config.js")


def lost(made: ImportResult) -> dict[str, str]:
    return {note.setting: note.what for note in made.of("lost")}


# ── files that include others ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("kind", "text", "setting", "pattern"),
    [
        ("supervisord", "[include]\nfiles = a/*.conf\n", "[include] files", "a/*.conf"),
        ("supervisord", "[include]\nfiles=%(here)s/b\n", "[include] files", "/srv/shop/b"),
        ("circus", "[circus]\ninclude = c.ini\n", "[circus] include", "c.ini"),
        ("circus", "[circus]\ninclude_dir = d\n", "[circus] include_dir", "d/*.ini"),
    ],
)
def test_a_pattern_that_finds_no_file_is_lost(
    kind: str, text: str, setting: str, pattern: str
) -> None:
    assert lost(convert(kind, text))[setting].startswith(f"{pattern}: there is no such file")


def test_a_pattern_that_finds_a_file_is_kept() -> None:
    found = source("supervisord", "conf.d/a.conf", "[program:a]\ncommand=run\n")
    made = KINDS["supervisord"](
        [source("supervisord", "s.conf", "[include]\nfiles = conf.d/*\n")],
        ImportOptions(nearby=lambda _source, _pattern: [found]),
    )
    assert lost(made) == {}
    assert only(made)["command"] == "run"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[socket:web]\nport = 80\n", "circus"),
        ("[plugin:a]\nuse = x\n", "circus"),
        ("[group:a]\nprograms = b\n", "supervisord"),
    ],
)
def test_a_part_of_a_configuration_tells_its_kind(text: str, kind: str) -> None:
    assert detect("part.ini", text) == kind


# ── Circus ────────────────────────────────────────────────────────────────────────────────────
def test_a_socket_that_is_not_there_costs_no_service() -> None:
    made = convert(
        "circus",
        "[watcher:a]\ncmd = serve --fd $(circus.sockets.web)\nuse_sockets = 1\n"
        "[socket:webs]\nport = 80\n",
    )
    assert only(made)["command"] == "serve --fd $(circus.sockets.web)"
    (note,) = made.of("lost")
    assert "'webs'" in note.hint


# ── supervisord ───────────────────────────────────────────────────────────────────────────────
def test_a_path_below_ones_home() -> None:
    made = only(
        convert("supervisord", "[program:a]\ncommand=x\ndirectory=~/b\nstdout_logfile=~/c.log\n")
    )
    assert (made["cwd"], made["log"]["file"]) == ("${env.HOME}/b", "${env.HOME}/c.log")


@pytest.mark.parametrize(("front", "cwd"), [("true", None), ("false", "/d")])
def test_the_folder_of_supervisord_holds_in_the_background_only(
    front: str, cwd: str | None
) -> None:
    text = f"[supervisord]\nnodaemon={front}\ndirectory=/d\n[program:a]\ncommand=x\n"
    assert only(convert("supervisord", text)).get("cwd") == cwd


@pytest.mark.parametrize(
    ("kind", "main", "more", "key"),
    [
        ("supervisord", "[include]\nfiles=m", "[program:a]\ncommand=x", "stopsignal"),
        ("circus", "[circus]\ninclude = m", "[watcher:a]\ncmd = x", "stop_signal"),
    ],
)
def test_defaults_hold_in_included_files(kind: str, main: str, more: str, key: str) -> None:
    made = KINDS[kind](
        [source(kind, "file", f"{main}\n[DEFAULT]\n{key} = USR1\n")],
        ImportOptions(nearby=lambda _source, _pattern: [source(kind, "m", more)]),
    )
    assert only(made)["stop_signal"] == "USR1"


def test_another_users_home_is_lost() -> None:
    made = convert("supervisord", "[program:a]\ncommand=x\ndirectory=~bob/b\n")
    assert "another user's home" in lost(made)["[program:a] directory"]


def test_spaces_around_a_groups_name_are_no_part_of_it() -> None:
    made = only(convert("supervisord", "[program:a]\ncommand=x\n[group: g ]\nprograms = a\n"))
    assert made["labels"]["group"] == "g"


def test_a_program_of_two_groups_is_told_of() -> None:
    groups = "[group:g]\nprograms=a\n[group:h]\nprograms=a\n"
    made = convert("supervisord", f"[program:a]\ncommand=x\n{groups}")
    assert "a is in group h, too" in lost(made)["[group:g] programs"]


def test_a_file_for_errors_that_gets_everything_is_a_change() -> None:
    made = convert("supervisord", "[program:a]\ncommand=x\nstderr_logfile=/e.log\n")
    assert any("errors alone" in note.what for note in made.of("changed"))


def test_a_listener_that_shows_output_is_not_missed() -> None:
    made = convert(
        "supervisord",
        "[eventlistener:stdout]\ncommand = supervisor_stdout\nevents = PROCESS_LOG\n"
        "result_handler = supervisor_stdout:event_handler\n",
    )
    assert made.of("lost") == []
    assert len(made.of("kept")) == 3


# ── PM2 ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["cmd", "command", "exec"])
def test_other_names_of_a_script(name: str) -> None:
    assert only(pm2(f"{name}: 'a.js'"))["command"] == "node a.js"


def test_of_two_names_for_one_option_the_first_counts_and_the_other_is_lost() -> None:
    made = pm2("output: '/b', script: 'a.js', out_file: '/a'")
    assert only(made)["log"]["file"] == "/a"
    assert "another name for out_file" in lost(made)["[a] output"]


@pytest.mark.parametrize(
    ("app", "told"),
    [
        ("script: 'a.js', instances: 2", True),
        ("script: 'a.js', instances: 'max'", True),
        ("script: 'a.js', instances: 1", False),
        ("script: 'a.js', instances: 2, exec_mode: 'fork'", False),
        ("script: 'a.py', instances: 2", False),
    ],
)
def test_instances_of_node_share_a_port_by_themselves(app: str, told: bool) -> None:
    assert ("[a] instances" in lost(pm2(app))) == told


def test_a_script_with_spaces_goes_to_bash_alone() -> None:
    made = pm2("name: 'a', script: 'source env && run', args: '-x', node_args: ['-y']")
    assert only(made)["command"] == ["bash", "-c", "source env && run"]
    assert sum("PM2 ignores it" in note.what for note in made.of("kept")) == 2


def test_a_growing_delay_wins_in_any_order() -> None:
    made = pm2("script: 'a.js', exp_backoff_restart_delay: 100, restart_delay: 4000")
    assert only(made)["restart"]["delay"] == "100ms"


@pytest.mark.parametrize(
    ("app", "log"),
    [
        ("time: false", None),
        ("log_date_format: ''", None),
        ("out_file: '/dev/null'", {"file": "none"}),
        ("out_file: 'NULL'", {"file": "none"}),
        ("error_file: '~/e.log'", {"file": "${env.HOME}/e.log", "mode": "line"}),
    ],
)
def test_logs_of_pm2(app: str, log: dict[str, str] | None) -> None:
    assert only(pm2(f"script: 'a.js', {app}")).get("log") == log


def test_an_app_that_is_not_started_by_itself() -> None:
    assert only(pm2("script: 'a.js', autostart: false"))["autostart"] is False


def test_a_variable_without_a_value_is_told_of() -> None:
    made = pm2("script: 'a.js', env: {A: null, B: undefined, C: ''}")
    assert only(made)["env"] == {"C": ""}
    assert [note.setting for note in made.of("changed")] == ["[a] env.A", "[a] env.B"]


@pytest.mark.parametrize(
    ("app", "told"),
    [("instances: 1", 0), ("instances: 2", 1), ("instances: 2, instance_var: 'I'", 0)],
)
def test_how_instances_were_numbered_is_told(app: str, told: int) -> None:
    made = pm2(f"script: 'a.js', exec_mode: 'fork', {app}")
    assert sum("NODE_APP_INSTANCE" in note.what for note in made.of("changed")) == told


@pytest.mark.parametrize(
    ("before", "value", "wanted"),
    [
        ("const { A, B = 'b' } = process.env;", "A", "${env.A}"),
        ("const { A, B = 'b' } = process.env;", "B", "${env.B:-b}"),
        ("const { A: c } = process.env;", "c", "${env.A}"),
        ("const { A } = require('./x');", "`${1 + 1}`", "2"),
        ("", "`${Number(process.env.P) || 9001}`", "${env.P:-9001}"),
        ("const d = import.meta.dirname;", "d", "/srv/shop"),
        ("const d = path.dirname(fileURLToPath(import.meta.url))", "`${d}/x`", "/srv/shop/x"),
        ("const d = dirname(fileURLToPath(import.meta.url))", "d", "/srv/shop"),
    ],
)
def test_javascript_that_needs_no_running(before: str, value: str, wanted: str) -> None:
    made = pm2(f"script: 'a.js', env: {{V: {value}}}", before)
    assert only(made)["env"] == {"V": wanted}


def test_names_that_are_picked_from_elsewhere_stay_unknown() -> None:
    made = pm2("script: 'a.js', env: {V: A}", "const { A } = require('./x');")
    assert "[a] env.V" in lost(made)


# ── process-compose ───────────────────────────────────────────────────────────────────────────
def compose(*texts: str, base: str = "") -> ImportResult:
    """Several files, and one that the first of them may extend."""
    parent = source("process-compose", "base/base.yaml", base, "/srv/shop/base")
    return KINDS["process-compose"](
        [source("process-compose", f"{n}.yaml", text) for n, text in enumerate(texts)],
        ImportOptions(
            nearby=lambda _source, pattern: [parent] if base and "yaml" in pattern else []
        ),
    )


def test_a_later_file_adds_to_an_earlier_one() -> None:
    made = compose(
        "processes: {a: {command: run, environment: [A=1, B=1], success_exit_codes: [3],\n"
        "  availability: {restart: always, backoff_seconds: 7}, depends_on: {b: {}}},\n"
        "  b: {command: b}, c: {command: c}}",
        "processes: {a: {environment: [B=2], success_exit_codes: [4],\n"
        "  availability: {restart: on_failure}, depends_on: {c: {}}}}",
    )
    service = tomllib.loads(made.toml)["service"]["a"]
    assert service["env"] == {"A": "1", "B": "2"}
    assert service["after"] == ["b", "c"]
    assert service["restart"]["policy"] == "on-failure"
    assert service["restart"]["delay"] == "7s"
    assert service["restart"]["success_codes"] == [0, 3, 4]


def test_the_report_says_in_which_of_two_files_a_part_stands() -> None:
    made = compose(
        "processes:\n  a:\n    command: run\n    availability:\n      restart: always\n",
        "processes:\n  a:\n    availability:\n      exit_on_skipped: true\n",
    )
    places = {note.setting: note.where for note in (*made.of("kept"), *made.of("lost"))}
    assert places["[a] availability.restart"].startswith("0.yaml")
    assert places["[a] availability.exit_on_skipped"].startswith("1.yaml")


@pytest.mark.parametrize(
    ("body", "cwd"),
    [("", "base"), (", working_dir: x", "base/x"), (", working_dir: /x", "/x")],
)
def test_a_process_of_an_extended_file_runs_in_its_folder(body: str, cwd: str) -> None:
    made = compose("extends: base.yaml", base=f"processes: {{a: {{command: run{body}}}}}")
    assert only(made)["cwd"] == cwd


@pytest.mark.parametrize(
    ("body", "key", "value"),
    [
        ("availability: {restart: '${R:-on_failure}'}", "restart.policy", "on-failure"),
        ("availability: {exit_on_end: '${E:-true}'}", "essential", True),
        ("shutdown: {signal: '${S:-2}'}", "stop_signal", "INT"),
        ("replicas: '${N:-3}'", "processes", 3),
    ],
)
def test_a_variable_with_a_value_for_its_absence_is_settled_where_ours_takes_none(
    body: str, key: str, value: Any
) -> None:
    made = compose(f"processes: {{a: {{command: run, {body}}}}}")
    found: Any = only(made)
    for part in key.split("."):
        found = found[part]
    assert found == value
    assert any("came from the variable" in note.what for note in made.of("changed"))


def test_a_process_without_dotenv_has_no_env_file() -> None:
    dotenv = Source(name=".env", folder="/srv/shop", text="X=1")
    made = KINDS["process-compose"](
        [
            source(
                "process-compose",
                "a.yaml",
                "processes: {a: {command: a, is_dotenv_disabled: true}, b: {command: b}}",
            )
        ],
        ImportOptions(nearby=lambda _s, name: [dotenv] if name == ".env" else []),
    )
    services = tomllib.loads(made.toml)["service"]
    assert "env_files" not in services["a"]
    assert services["b"]["env_files"] == [".env"]


def test_words_of_shell_that_process_compose_does_not_know_are_told() -> None:
    made = compose("shell: {command: /bin/zsh}\nprocesses: {a: {command: run}}")
    assert "shell.command" in lost(made)


def test_a_probe_of_what_others_want_to_end_is_told_of() -> None:
    made = compose(
        "processes:\n  a: {command: a, readiness_probe: {exec: {command: t}}}\n"
        "  b: {command: b, depends_on: {a: {condition: process_completed_successfully}}}\n"
    )
    assert "ready" not in tomllib.loads(made.toml)["service"]["a"]
    assert any(note.setting == "[a] readiness_probe" for note in made.of("changed"))


@pytest.mark.parametrize(
    ("text", "told"),
    [("A=$B\n", ["A"]), ('X=1\nexport A="a ${B}"', ["A"]), ("A='$B'\nC=\\$D\n#E=$F\n", [])],
)
def test_variables_within_dotenv_are_told(text: str, told: list[str]) -> None:
    dotenv = Source(name=".env", folder="/srv/shop", text=text)
    made = KINDS["process-compose"](
        [source("process-compose", "a.yaml", "processes: {a: {command: a}}")],
        ImportOptions(nearby=lambda _s, name: [dotenv] if name == ".env" else []),
    )
    assert [note.setting.rpartition(" ")[2] for note in made.of("changed")] == told


# ── keys that are given twice ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("kind", "text", "name", "told"),
    [
        ("process-compose", "processes:\n a: {command: x}\n a: {}", "x.yaml", "processes.a"),
        ("pm2", "apps:\n - script: a.js\n   script: b.js", "x.yaml", "apps.0.script"),
        ("pm2", "module.exports = {apps: [{\nscript: 'a', script: 'b'}]}", "x.js", "apps.0.script"),
        ("pm2", "const d = {a: 1};\nmodule.exports = [{script: 'a', ...d, a: 2}]", "x.js", ""),
    ],
)  # fmt: skip
def test_a_key_that_is_given_twice_is_told_of(kind: str, text: str, name: str, told: str) -> None:
    made = convert(kind, text, name)
    repeated = [(n.setting, n.where) for n in made.of("lost") if "given again" in n.what]
    assert repeated == ([(told, f"{name}:2")] if told else [])


SKIPPED = [
    ".*", "node_modules", "vendor", "target", "dist", "build", "bin", "venv", "__pycache__",
    "result", "*.log", "*.log.gz",
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "watch"),
    [
        (
            "paths: [{path: ./src, exclude: ['**/*_test.go', 'gen/**']}], debounce: 1s",
            {"paths": ["./src"], "include": ["*"], "exclude": [*SKIPPED, "*_test.go", "gen"],
             "debounce": "1s"},
        ),
        (
            "paths: [{path: a, include: ['*.py']}, b], disable_default_excludes: true",
            {"paths": ["a", "b"], "include": ["*.py"], "exclude": []},
        ),
        ("paths: [src]", {"paths": ["src"], "include": ["*"], "exclude": SKIPPED}),
        ("debounce: 1s", None),
    ],
)  # fmt: skip
def test_what_process_compose_watches(body: str, watch: dict[str, Any] | None) -> None:
    assert (
        only(compose(f"processes: {{a: {{command: run, watch: {{{body}}}}}}}")).get("watch")
        == watch
    )


def test_patterns_of_a_watch_that_are_no_names_are_told() -> None:
    made = compose(
        "processes: {a: {command: run, watch: {paths: [{path: a, exclude: [x/y/*.go], q: 1}]}}}"
    )
    whats = [note.what for note in made.of("lost")]
    assert any("x/y/*.go" in what for what in whats)
    assert any(what.startswith("q is no option") for what in whats)


def test_a_quoted_template_is_its_text() -> None:
    line = 'run {{ "{{.Name}}" }} {{`x y`}}'
    made = only(compose(f"processes: {{a: {{command: '{line}', namespace: [m, n]}}}}"))
    assert made["command"] == "run {{.Name}} x y"
    assert made["labels"] == {"namespace": "m,n"}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("pm2", "module.exports = [{script: 'a.js', out_file: '/dev/stdout'}]"),
        ("process-compose", "processes: {a: {command: x, log_location: /dev/fd/1}}"),
        (
            "circus",
            (
                "[watcher:a]\ncmd = x\nstdout_stream.class = FileStream\n"
                "stdout_stream.filename = /dev/stdout\n"
            ),
        ),
    ],
)
def test_a_terminal_is_no_log_file(kind: str, text: str) -> None:
    made = convert(kind, text, "x.yaml" if kind == "process-compose" else "file")
    assert only(made)["log"]["file"] == "none"
    assert any("terminal" in note.what for note in made.of("changed"))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("if (x) { for (const k of y) { env[k] = 1; } }", True),
        ("for (const k of y) env[k] = 1;", True),
        ("y.forEach(k => { env.A = k })", True),
        ("Object.assign(env, require('./x'));", True),
        ("for (const k of y) { console.log(env[k], env.A, a.env = 1) }", False),
        ("if (env.A === 1) { log() }", False),
    ],
)
def test_what_changes_a_value_that_is_not_run_is_told_of(code: str, told: bool) -> None:
    made = pm2("script: 'a.js', env", f"const env = {{A: 1}};\n{code}\n")
    assert only(made)["env"] == {"A": "1"}
    assert any("is not run" in note.what for note in made.of("lost")) == told


def test_a_file_of_variables_that_pm2_does_not_read() -> None:
    assert "not read by PM2" in lost(pm2("script: 'a.js', env_file: '.env'"))["[a] env_file"]


@pytest.mark.parametrize(("more", "told"), [("", True), ("startsecs=0\n", False)])
def test_an_early_end_that_supervisord_tries_again_is_told_of(more: str, told: bool) -> None:
    made = convert("supervisord", f"[program:a]\ncommand=x\nautorestart=false\n{more}")
    assert any("before startsecs" in note.what for note in made.of("changed")) == told


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("pm2", "module.exports = [{script: 'a.js', restart_delay: 300000}]"),
        (
            "process-compose",
            "processes: {a: {command: x, availability: {restart: always, backoff_seconds: 300}}}",
        ),
        ("systemd", "[Service]\nExecStart=/bin/x\nRestart=always\nRestartSec=300\n"),
    ],
)
def test_a_pause_before_every_restart_is_one_before_every_restart(kind: str, text: str) -> None:
    restart = only(convert(kind, text, "x.yaml" if kind == "process-compose" else "x.service"))[
        "restart"
    ]
    assert (restart["min_delay"], restart["delay"], restart["max_delay"]) == ("5m", "5m", "5m")
    assert restart["jitter"] == 0


def test_pm2_counts_starts_and_not_restarts() -> None:
    assert only(pm2("script: 'a.js'"))["restart"]["attempts"] == 15
    assert only(pm2("script: 'a.js', max_restarts: 3"))["restart"]["attempts"] == 2
