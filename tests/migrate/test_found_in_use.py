"""What public files of the other tools hold, and what once went wrong with it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chapiteau.core.errors import UsageError
from tests.migrate.importing import convert


def services(kind: str, text: str, name: str = "file") -> dict[str, Any]:
    made = convert(kind, text, name)
    return tomllib.loads(made.toml).get("service", {})


def only(kind: str, text: str, name: str = "file") -> dict[str, Any]:
    (found,) = services(kind, text, name).values()
    return found


# ── Circus ────────────────────────────────────────────────────────────────────────────────────
def test_circus_fills_in_the_environment_in_every_option() -> None:
    made = only(
        "circus",
        "[env]\nbase = /srv\n[watcher:a]\ncmd = $(circus.env.HOME)/run\n"
        "virtualenv = ((CIRCUS.ENV.BASE))/venv\n"
        "working_dir = $(circus.env.home)/app\nstdout_stream.class = FileStream\n"
        "stdout_stream.filename = $(circus.env.HOME)/log\n",
    )
    assert made["command"] == "${env.HOME}/run"
    assert made["cwd"] == "${env.HOME}/app"
    assert made["virtualenv"] == "/srv/venv"
    assert made["log"]["file"] == "${env.HOME}/log"


def test_a_variable_of_circus_may_be_several_words() -> None:
    made = only("circus", "[env]\nopts = -a  -b\n[watcher:a]\ncmd = run $(circus.env.opts)\n")
    assert made["command"].split() == ["run", "-a", "-b"]


def test_text_of_circus_that_looks_like_a_variable_of_ours_is_none() -> None:
    made = only("circus", "[watcher:a]\ncmd = run ${HOME} $(circus.env.X)\nworking_dir = /${x}\n")
    assert made["command"] == "run $${HOME} ${env.X}"
    assert made["cwd"] == "/$${x}"


def test_a_guard_without_retries_leaves_a_service_down() -> None:
    flapping = "[plugin:f]\nuse = circus.plugins.flapping.Flapping\nattempts = 4\nmax_retry = 0\n"
    made = only("circus", f"[watcher:a]\ncmd = run\n{flapping}")
    assert made["restart"] == {
        "attempts": 3,
        "window": "1s",
        "max_delay": "7s",
        "after_give_up": "stay-down",
    }


def test_the_command_reloader_becomes_watch() -> None:
    text = (
        "[watcher:a]\ncmd = /srv/run -v\n[watcher:b]\ncmd = python app.py\n[watcher:c]\ncmd = run"
    )
    plugin = "\n[plugin:r]\nuse = circus.plugins.command_reloader.CommandReloader\nloop_rate = 2\n"
    made = services("circus", text + plugin)
    assert made["a"]["watch"] == {"paths": ["/srv/run"]}
    assert made["b"]["watch"] == {"paths": ["app.py"]}
    assert "watch" not in made["c"]


# ── supervisord ───────────────────────────────────────────────────────────────────────────────
def test_the_environment_is_filled_in_where_supervisord_does() -> None:
    made = only(
        "supervisord",
        "[program:a]\ncommand=run\ndirectory=%(ENV_HOME)s/x\nuser=%(ENV_USER)s\n",
    )
    assert (made["cwd"], made["user"]) == ("${env.HOME}/x", "${env.USER}")


def test_a_program_that_ends_after_startsecs_is_started_for_ever() -> None:
    made = only("supervisord", "[program:a]\ncommand=run\nautorestart=true\nstartsecs=5\n")
    assert made["restart"]["count"] == "unhealthy"
    assert made["restart"]["healthy_after"] == "5s"
    assert made["restart"]["attempts"] == 3


def test_a_program_without_startsecs_is_never_given_up() -> None:
    made = only("supervisord", "[program:a]\ncommand=run\nstartsecs=0\nautorestart=true\n")
    assert made["restart"] == {"policy": "always"}


def test_the_window_holds_all_the_waits_before_a_program_is_given_up() -> None:
    made = only("supervisord", "[program:a]\ncommand=run\nstartsecs=60\nstartretries=10\n")
    assert made["restart"]["window"] == "19m"  # 11 lives of a minute, and waits of 2 to 60 s


def test_streams_of_a_container_lose_nothing() -> None:
    made = convert(
        "supervisord",
        "[program:a]\ncommand=run\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n"
        "stderr_logfile=/dev/stderr\nstderr_logfile_maxbytes=0\n",
    )
    assert made.of("lost") == []
    assert [note.setting for note in made.of("changed")] == ["[program:a] stdout_logfile"]


def test_stopasgroup_signals_the_group() -> None:
    assert only("supervisord", "[program:a]\ncommand=run\nstopasgroup=true\n")["stop_group"]


def test_a_limit_that_is_a_least_one_lowers_none() -> None:
    text = "[supervisord]\nminfds=1024\nminprocs=200\n[program:a]\ncommand=x\n"
    assert "limits" not in only("supervisord", text)


@pytest.mark.parametrize(("front", "umask"), [("true", None), ("false", "0027")])
def test_the_umask_holds_in_the_background_only(front: str, umask: str | None) -> None:
    text = f"[supervisord]\nnodaemon={front}\numask=027\n[program:a]\ncommand=x\n"
    assert only("supervisord", text).get("umask") == umask


CRASHMAIL = "[program:web]\ncommand=run\n[eventlistener:mail]\nevents=PROCESS_STATE\ncommand="


@pytest.mark.parametrize(
    ("command", "kinds", "services", "smtp"),
    [
        ("crashmail -a -m me@x.org", ["process.exited"], None, None),
        ("/usr/bin/crashmail -p web -m me@x.org", ["process.exited"], ["web"], None),
        (
            "crashmail -p g:web -m me@x.org -s '/usr/sbin/sendmail -t -i -f you@x.org'",
            ["process.exited"], ["web"], {"sender": "you@x.org"},
        ),
        (
            'python -u superlance/crashmailbatch.py --toEmail="me@x.org" --smtpHost=mail:587 --tls',
            ["process.exited"], None, {"host": "mail", "port": 587, "security": "starttls"},
        ),
        ("fatalmailbatch -t me@x.org -f a@x.org", ["service.failed"], None, {"sender": "a@x.org"}),
    ],
)  # fmt: skip
def test_listeners_that_mail_become_alerts(
    command: str, kinds: list[str], services: list[str] | None, smtp: dict[str, Any] | None
) -> None:
    made = convert("supervisord", CRASHMAIL + command)
    plugin = tomllib.loads(made.toml)["plugin"]["mail"]
    told = plugin["options"]["to"]["mail"]
    assert plugin["use"] == "alerts"
    assert (told["mail"], told["kinds"]) == (["me@x.org"], kinds)
    assert told.get("services") == services
    assert plugin["options"].get("smtp") == smtp


@pytest.mark.parametrize(
    "command", ["crashmail -a", "crashmail -m me@x.org", "crashmail -z", "fatalmailbatch"]
)
def test_a_listener_that_its_own_program_refuses_is_lost(command: str) -> None:
    made = convert("supervisord", CRASHMAIL + command)
    assert any("eventlistener:mail" in note.setting for note in made.of("lost"))
    assert "plugin" not in tomllib.loads(made.toml)


# ── Procfile and process-compose ──────────────────────────────────────────────────────────────
@pytest.mark.parametrize("line", ["exec gunicorn app:app", "PORT=3000 puma -C x", "cd x"])
def test_what_only_a_shell_understands_goes_to_a_shell(line: str) -> None:
    assert only("procfile", f"web: {line}")["shell"]
    made = only("process-compose", f"processes: {{web: {{command: '{line}'}}}}", "x.yaml")
    assert made["command"] == ["bash", "-c", line]


def test_a_probe_that_needs_a_shell_gets_one() -> None:
    made = only(
        "process-compose",
        "processes: {a: {command: run, readiness_probe: {exec: {command: 'ps | grep a'}}}}",
        "x.yaml",
    )
    assert made["ready"]["exec"] == "bash -c 'ps | grep a'"


def test_variables_of_process_compose_are_filled_in_everywhere() -> None:
    made = only(
        "process-compose",
        "processes: {a: {command: 'run ${B:-1}', working_dir: '$HOME/x', "
        "environment: ['A=${B:-1}']}}",
        "x.yaml",
    )
    assert made["cwd"] == "${env.HOME:-}/x"
    assert made["env"]["A"] == "${env.B:-1}"
    assert made["command"] == ["bash", "-c", "run $${B:-1}"]  # the shell knows .env, too


def test_exit_on_end_is_essential() -> None:
    made = only(
        "process-compose",
        "processes: {a: {command: run, availability: {exit_on_end: true}}}",
        "x.yaml",
    )
    assert made["essential"]


def test_a_condition_may_stand_without_its_name() -> None:
    made = services(
        "process-compose",
        "processes: {a: {command: run, depends_on: {b: process_healthy}}, b: {command: run}}",
        "x.yaml",
    )
    assert made["a"]["needs"] == ["b"]


@pytest.mark.parametrize(
    ("kind", "text", "file"),
    [
        ("circus", "[watcher:a]\ncmd=x\nstderr_stream.filename = ./l/a.log\n", "l/a.log"),
        ("supervisord", "[program:a]\ncommand=x\nstdout_logfile=a.log\n", "a.log"),
        ("process-compose", "processes: {a: {command: x, log_location: ./a.log}}", "a.log"),
        ("pm2", "module.exports = {apps: [{script: 'a.js', out_file: 'l/a'}]}", "l/a"),
        (
            "pm2", "module.exports = {apps: [{script: 'a.js', cwd: 'app', out_file: './l/a'}]}",
            "app/l/a",
        ),
    ],
)  # fmt: skip
def test_a_log_file_stays_where_it_was(kind: str, text: str, file: str) -> None:
    made = only(kind, text, "x.yaml" if kind == "process-compose" else "file")
    assert made["log"]["file"] == f"${{project.dir}}/{file}"


# ── PM2 ───────────────────────────────────────────────────────────────────────────────────────
def test_a_default_of_an_environment_variable_is_kept() -> None:
    made = only(
        "pm2",
        "module.exports = {apps: [{script: 'a.js', env: {PORT: process.env.PORT || 3000}}]}",
    )
    assert made["env"]["PORT"] == "${env.PORT:-3000}"


def test_a_version_of_node_that_nvm_has_is_told_of() -> None:
    made = convert("pm2", "module.exports = {apps: [{script: 'a.js', interpreter: 'node@18.1.0'}]}")
    assert 'command = "node a.js"' in made.toml
    assert any("nvm" in note.what for note in made.of("changed"))


def test_restarts_without_number_are_never_given_up() -> None:
    made = only("pm2", "module.exports = {apps: [{script: 'a.js', max_restarts: 999999}]}")
    assert "after_give_up" not in made["restart"]


def test_apps_that_javascript_would_choose_from_are_all_taken_and_told() -> None:
    made = convert(
        "pm2",
        """const apps = [{name: 'a', script: 'a.js'}, {name: 'b', script: 'b.js'}];
           module.exports = {apps: [
             ...apps.filter(a => a.name === process.env.ONLY),
             process.env.C && {name: 'c', script: 'c.js'},
             null,
             {name: 'd', script: 'd.js', exec_mode: 'fork',
              instances: parseInt(process.env.N || '2', 10)},
           ].filter(Boolean)};""",
    )
    assert list(tomllib.loads(made.toml)["service"]) == ["a", "b", "c", "d"]
    assert tomllib.loads(made.toml)["service"]["d"]["processes"] == 2
    told = {note.setting: note.what for note in made.of("changed")}
    assert ".filter(a => a.name === process.env.ONLY)" in told["a"]
    assert "process.env.C &&" in told["c"]
    assert any("came from the variable N" in note.what for note in made.of("changed"))
    assert made.of("lost") == []


def test_apps_that_are_pushed_are_there_and_what_is_not_run_is_told() -> None:
    made = convert(
        "pm2",
        """const apps = [];
           if (env.ONE) {
             apps.push({name: 'one', script: 'a.js'}, {name: 'two', script: 'b.js'});
           } else {
             apps.push({name: 'three', script: 'c.js'});
           }
           apps.push({name: 'four', script: 'd.js'});
           apps[0].watch = false;
           module.exports = {apps};""",
        "ecosystem.config.js",
    )
    assert list(tomllib.loads(made.toml)["service"]) == ["one", "two", "three", "four"]
    told = {note.setting: note.what for note in made.of("changed")}
    assert "if (env.ONE)" in told["one"]
    assert "else" in told["three"]
    assert "four" not in told
    (lost,) = made.of("lost")
    assert (lost.where, lost.what) == (
        "ecosystem.config.js:8",
        "is not run: apps[0].watch = false",
    )


def test_variables_with_defaults_stand_in_templates_names_and_ports() -> None:
    made = convert(
        "pm2",
        """const mode = process.env.MODE || 'production';
           module.exports = {apps: [{
             name: `shop-${mode}`, script: 'a.js', port: process.env.PORT || 3000,
             env: {URL: `http://${process.env.HOST || 'localhost'}/${mode}`},
           }]};""",
    )
    service = tomllib.loads(made.toml)["service"]["shop-production"]
    url = "http://${env.HOST:-localhost}/${env.MODE:-production}"
    assert service["env"] == {"PORT": "${env.PORT:-3000}", "URL": url}
    assert made.of("lost") == []


def test_of_apps_that_are_computed_node_itself_is_to_tell() -> None:
    text = "module.exports = {\n  apps: ['a', 'b'].map(n => ({script: n})),\n};"
    with pytest.raises(UsageError) as caught:
        convert("pm2", text, "ecosystem.config.js")
    assert caught.value.what.startswith("ecosystem.config.js:2: its apps would have to be computed")
    assert "['a', 'b'].map(n => ({script: n}))" in caught.value.what
    assert 'require("./ecosystem.config.js")' in caught.value.hint


def test_the_environment_spread_into_env_is_the_inherited_one() -> None:
    text = "module.exports = {apps: [{script: 'a.js', env: {...process.env, A: '1'}}]}"
    made = convert("pm2", text)
    assert tomllib.loads(made.toml)["service"]["a"]["env"] == {"A": "1"}
    assert made.of("lost") == []


# ── systemd ───────────────────────────────────────────────────────────────────────────────────
def test_quotes_may_stand_within_a_word() -> None:
    made = only("systemd", "[Service]\nExecStart=/bin/x --level=\"INFO\" a'b c' \\d\n", "x.service")
    assert made["command"] == "/bin/x --level=INFO 'ab c' '\\d'"


def test_an_empty_variable_is_no_argument() -> None:
    unit = '[Service]\nEnvironment=OPTS= "MORE=a b"\nExecStart=/bin/x $OPTS $MORE "${MORE}"\n'
    assert only("systemd", unit, "x.service")["command"] == "/bin/x a b 'a b'"


def test_what_an_environment_file_may_change_is_filled_in_at_the_start() -> None:
    unit = "[Service]\nEnvironment=OPTS=\nEnvironmentFile=-/etc/x\nExecStart=/bin/x $OPTS\n"
    made = only("systemd", unit, "x.service")
    assert made["command"] == "exec /bin/x $OPTS"
    assert made["env_files"] == ["-/etc/x"]


def test_the_store_for_descriptors_is_kept() -> None:
    unit = "[Service]\nExecStart=/bin/x\nFileDescriptorStoreMax=16\nStandardInput=tty-force\n"
    made = only("systemd", unit, "x.service")
    assert (made["fd_store"], made["stdin"]) == (16, "tty")


@pytest.mark.parametrize(("mode", "group"), [("", True), ("mixed", False), ("process", False)])
def test_who_gets_the_stop_signal_is_as_in_systemd(mode: str, group: bool) -> None:
    unit = f"[Service]\nExecStart=/bin/x\n{f'KillMode={mode}' if mode else ''}\n"
    assert only("systemd", unit, "x.service").get("stop_group", False) == group
