"""Odd places of the foreign formats, read as their own programs read them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import InvalidInputError
from chapiteau.migrate.files import detect
from chapiteau.migrate.ini import merge_sections, read_circus, read_supervisord, read_systemd
from chapiteau.migrate.pm2.javascript import Conditional, Dynamic, EnvDefault, read_javascript
from chapiteau.migrate.source import Source
from chapiteau.migrate.supervisord.rules import Expansion, read_pairs
from chapiteau.migrate.systemd.commands import (
    command_line,
    fill,
    parse_timespan,
    read_exec,
    specifiers,
    split_words,
)
from chapiteau.migrate.values import (
    duration,
    exec_line,
    go_duration,
    one_line,
    signal_name,
    size_text,
)
from chapiteau.run.config.load import read_spec
from tests.migrate.importing import convert


def options(sections: Any) -> dict[str, dict[str, Any]]:
    return {s.name: {o.name: o.value for o in s.options} for s in sections}


def text(body: str) -> Source:
    return Source(name="file", text=body, folder="/srv")


# ── ini ───────────────────────────────────────────────────────────────────────────────────────
def test_circus_takes_the_first_of_two_keys_and_appends_its_continuation_to_that() -> None:
    read = read_circus(text('[a]\nk = 1 ; note; more\nk = 2\n  three\ne = ""\nurl = a;b\n'))
    assert options(read) == {"a": {"k": "1\nthree", "e": "", "url": "a;b"}}
    assert [(o.value, o.where) for o in read[0].repeated] == [("2", "file:3")]


def test_circus_takes_an_indented_comment_as_part_of_the_value() -> None:
    assert options(read_circus(text("[a]\nk = 1\n  # no comment\nrem k = 2\n"))) == {
        "a": {"k": "1\n# no comment"}
    }


def test_supervisord_takes_the_last_of_two_keys_lower_cased_with_defaults() -> None:
    body = "[DEFAULT]\nuser=x\n[a]\nK=1 # note\nk=2 ; note\nc=one\n\n  two;three\n"
    assert options(merge_sections([read_supervisord(text(body))], first_wins=False)) == {
        "a": {"k": "2", "c": "one\n\ntwo;three", "user": "x"}
    }


def test_systemd_joins_lines_over_comments_and_keeps_every_assignment() -> None:
    body = "[S]\nA = 1 \\\n# between\n; too\n  2\nA=\nnonsense\nB=x \\\n\nC=3\n"
    read = read_systemd(text(body))[0].options
    assert [(o.name, o.value) for o in read] == [
        ("A", "1  2"), ("A", ""), ("", "nonsense"), ("B", "x"), ("C", "3"),
    ]  # fmt: skip
    assert [o.where for o in read][:2] == ["file:2", "file:6"]


def test_every_bad_line_of_an_ini_file_is_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_supervisord(text("[a]\none\nk=1\ntwo\n"))
    assert [p.where for p in caught.value.problems] == ["file:2", "file:4"]


def test_a_line_break_inside_quotes_stays_in_the_command() -> None:
    made = convert("circus", "[watcher:a]\ncmd = sh -c 'one\n  two' \n  three\n")
    assert tomllib.loads(made.toml)["service"]["a"]["command"] == "sh -c 'one\ntwo'\nthree"
    assert 'command = "a b c"' in convert("circus", "[watcher:a]\ncmd = a\n  b\n  c\n").toml


# ── JavaScript ────────────────────────────────────────────────────────────────────────────────
def value(code: str) -> Any:
    return read_javascript(text(f"module.exports = {{ v: {code} }};")).data["v"]


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        pytest.param("'it\\'s'", "it's", id="an escaped quote"),
        pytest.param('"\\u0041\\x42\\u{43}\\n"', "ABC\n", id="escapes"),
        pytest.param('"\\ud83d\\ude00"', "😀", id="two halves of a character"),
        pytest.param('"\\ud83d"', "\ufffd", id="a lone half is none"),
        pytest.param("`a${1}`", "a1", id="a template with a number"),
        pytest.param("`a${f()}`", Dynamic("`a${f()}`"), id="a template with an expression"),
        pytest.param("`x ${process.env.A}`", "x ${env.A}", id="a template with a variable"),
        pytest.param("process.env.A || 'b'", EnvDefault("A", "b"), id="a default"),
        pytest.param("[1, 0x10, -2.5e1, 1_000,]", [1, 16, -25.0, 1000], id="numbers, comma"),
        pytest.param("{ a: null, 'b-c': undefined }", {"a": None, "b-c": None}, id="no values"),
        pytest.param("'a' + 'b' + 1", "ab1", id="texts added"),
        pytest.param("(true)", True, id="brackets"),
        pytest.param("path.join(__dirname, './x')", "/srv/x", id="path.join"),
        pytest.param("Number('3')", "3", id="a conversion"),
        pytest.param("[1, null, 2].filter(Boolean)", [1, 2], id="only what is there"),
        pytest.param("[1].map(f)", Dynamic("[1].map(f)"), id="a method"),
        pytest.param("[x && {}]", [Conditional({}, "x &&")], id="what may be left out"),
        pytest.param("[1].filter(f)", [Conditional(1, ".filter(f)")], id="a choice"),
        pytest.param("a ? 1 : 2", Dynamic("a ? 1 : 2"), id="a question"),
        pytest.param("() => ({ a: 1 })", Dynamic("() => ({ a: 1 })"), id="a function"),
        pytest.param("require('x').y({z: [1]})", Dynamic("require('x').y({z: [1]})"), id="a call"),
    ],
)
def test_literals_of_javascript(code: str, wanted: Any) -> None:
    assert value(code) == wanted


def test_constants_spread_shorthand_and_comments_are_followed() -> None:
    body = """
    // one
    const a = { x: 1 }, ignored = 2
    let env = { ...a, y: 2 } /* two */
    function f() { return { z: 3 } }
    export default { env, list: [...[1, 2], 3], run() { return 1 }, last: 4 }
    """
    tree = read_javascript(text(body))
    assert tree.data["env"] == {"x": 1, "y": 2}
    assert tree.data["list"] == [1, 2, 3]
    assert isinstance(tree.data["run"], Dynamic)
    assert tree.data["last"] == 4
    assert tree.lines[("last",)] == 6


@pytest.mark.parametrize(
    ("body", "where"),
    [
        pytest.param("module.exports = { a: [1, 2 }", "file:1", id="a bracket of another kind"),
        pytest.param("module.exports = {\n a: 'x\n}", "file:2", id="an open string"),
        pytest.param("module.exports = make()", "file:1", id="everything is computed"),
        pytest.param("const a = 1", "file", id="nothing is exported"),
        pytest.param("", "file", id="empty"),
    ],
)
def test_javascript_that_can_not_be_read_is_an_error(body: str, where: str) -> None:
    with pytest.raises(UsageError, match=where):
        read_javascript(text(body))


# ── systemd ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90), ("1min 30s", 90), ("1h5m", 3900), ("500ms", 0.5), ("2d", 172800),
        ("1.5h", 5400), ("infinity", float("inf")),
    ],
)  # fmt: skip
def test_time_spans(written: str, seconds: float) -> None:
    assert parse_timespan(written) == seconds


@pytest.mark.parametrize("written", ["", "x", "5 parsecs", "1s;2"])
def test_what_is_no_time_span_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="time span"):
        parse_timespan(written)


def test_words_have_c_escapes_and_both_quotes() -> None:
    assert split_words(r"""a "b \"c\" \x41" 'd e' \s\u00e9""") == ["a", 'b "c" A', "d e", " é"]
    with pytest.raises(ValueError, match="quote"):
        split_words('a "b')


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param("/bin/a ${A} $$x", ("/bin/a 1 '$x'", False), id="known variables filled in"),
        pytest.param("/bin/a $B", ("exec /bin/a $B", True), id="the shell splits a bare one"),
        pytest.param("/bin/a x${B}y", ('exec /bin/a "x$${B}y"', True), id="and keeps others whole"),
        pytest.param(":/bin/a ${A}", ("/bin/a '$${A}'", False), id="a colon: nothing filled in"),
    ],
)
def test_commands_of_units(line: str, wanted: tuple[str, bool]) -> None:
    assert command_line(read_exec(line), {"A": "1"}) == wanted


def test_specifiers_of_an_instance() -> None:
    known = specifiers("web-shop@blue-1.service")
    assert (
        fill("%n %p %i %I %j %%", known) == "web-shop@blue-1.service web-shop blue-1 blue/1 shop %"
    )
    with pytest.raises(ValueError, match="%b has no value"):
        fill("%b", known)
    with pytest.raises(ValueError, match="%i has no value"):
        fill("%i", specifiers("web@.service"))


# ── supervisord ───────────────────────────────────────────────────────────────────────────────
def test_expansions_are_those_of_python_and_ours() -> None:
    filling = Expansion(values={"process_num": 7, "program_name": "web"}, env={"A": "x"})
    assert filling.fill("%(process_num)02d %(program_name)s %(ENV_A)s %%") == "07 web x %"
    assert filling.fill("%(ENV_B)s ${B} %(host_node_name)s") == "${env.B} $${B} ${host.name}"
    for wrong in ("%(nothing)s", "5%", "%(program_name)d"):
        with pytest.raises(ValueError, match="%"):
            filling.fill(wrong)


def test_pairs_have_quotes_and_our_variables() -> None:
    assert read_pairs('A="x,y",B=1.5/z,C=${env.HOME},D=\'q\'') == {
        "A": "x,y", "B": "1.5/z", "C": "${env.HOME}", "D": "q",
    }  # fmt: skip
    for wrong in ("A", "A=", 'A="x'):
        with pytest.raises(ValueError, match="A"):
            read_pairs(wrong)


# ── values and kinds ──────────────────────────────────────────────────────────────────────────
def test_values_keep_their_exact_meaning() -> None:
    assert [duration(s) for s in (0, 0.25, 1.6, 60, 90, 120, 3600, 86400)] == [
        "0s", "250ms", "1.6s", "60s", "90s", "2m", "1h", "1d",
    ]  # fmt: skip
    assert [go_duration(t) for t in ("1h30m", "500ms", "1.5s")] == ["90m", "500ms", "1.5s"]
    assert [size_text(t) for t in ("50MB", "1g", "1000", "1536KiB")] == [
        "50MiB", "1GiB", 1000, "1536KiB",
    ]  # fmt: skip
    assert [signal_name(t) for t in ("SIGTERM", "hup", 2, "RTMIN+1")] == [
        "TERM", "HUP", "INT", "RTMIN+1",
    ]  # fmt: skip


def test_a_single_command_takes_the_place_of_its_shell() -> None:
    assert exec_line("A=1 serve -p $PORT") == "A=1 exec serve -p $PORT"
    assert exec_line("P=${P:-5} serve -p $P") == "P=${P:-5} exec serve -p $P"
    for kept in ("A='x y' serve", "A=1"):  # `exec A=…` would look for a program of that name
        assert exec_line(kept) == kept
    for kept in ("a | b", "cd x && y", "if true", "a; b", "exec a $B"):
        assert exec_line(kept) == kept
    assert one_line("a \n b") == "a b"
    assert one_line("a 'b\nc'") == "a 'b\nc'"


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("x.ini", "[watcher:a]\n", "circus"),
        ("x.ini", "[program:a]\n", "supervisord"),
        ("conf/Procfile.dev", "", "procfile"),
        ("ecosystem.config.cjs", "", "pm2"),
        ("x.json", '{"apps": []}', "pm2"),
        ("x.yaml", "processes:\n", "process-compose"),
        ("a@.service", "", "systemd"),
        ("unit", "[Unit]\n[Service]\n", "systemd"),
        ("notes.txt", "hello", ""),
    ],
)
def test_kinds_are_told_by_name_and_content(name: str, body: str, kind: str) -> None:
    assert detect(name, body) == kind


LISTENERS = """
[inet_http_server]
port = 127.0.0.1:9001
[program:web]
command = web %(process_num)d
numprocs = 2
process_name = %(program_name)s_%(process_num)d
[program:worker]
command = worker
[group:shop]
programs = worker
[eventlistener:memmon]
command = /usr/bin/memmon -p web=200MB -g shop=1GB -m ops@example.org
events = TICK_60
[eventlistener:httpok]
command = httpok -p worker -t 5 -b 'all well' http://127.0.0.1:8000/
events = TICK_5
[eventlistener:wrong]
command = httpok -p nobody http://127.0.0.1:8000/
events = TICK_5
"""


def test_listeners_of_superlance_become_plugins() -> None:
    made = convert("supervisord", LISTENERS, "x.conf")
    data = tomllib.loads(made.toml)
    assert read_spec({k: v for k, v in data.items() if k != "dash"})[1] == []
    assert data["dash"] == {"enable": True, "host": "127.0.0.1", "port": 9001}
    web, shop, httpok = data["plugin"].values()
    assert set(web["options"]["services"]) == set(data["service"]) - {"worker"}
    assert (web["options"]["max_memory"], web["options"]["action"]) == ("200MiB", "restart")
    assert (shop["options"]["services"], shop["options"]["max_memory"]) == (["worker"], "1GiB")
    assert httpok["options"] == {
        "url": "http://127.0.0.1:8000/", "timeout": "5s", "interval": "5s", "failures": 1,
        "status": [200], "contains": "all well", "service": "worker", "action": "restart",
    }  # fmt: skip
    told = [f"{note.what} {note.hint}" for note in made.of("lost")]
    assert any("mail to ops@example.org" in text for text in told)
    assert any("there is no program 'nobody'" in text for text in told)


def test_what_a_unit_runs_beside_becomes_hooks() -> None:
    made = convert(
        "systemd",
        "[Service]\nExecStart=/bin/web\nTimeoutStartSec=infinity\nExecStartPost=-/bin/tell up\n"
        "ExecStop=/bin/kill $MAINPID\n"
        "ExecStopPost=/bin/rm -f /run/a\nExecStopPost=/bin/tell ${X}\n",
        "web.service",
    )
    web = tomllib.loads(made.toml)["service"]["web"]
    assert web["hooks"]["after_start"]["run"] == ["sh", "-c", "{ /bin/tell up || true; }"]
    assert web["hooks"]["after_reap"]["run"] == [
        "sh",
        "-c",
        '/bin/rm -f /run/a && /bin/tell "$${X}"',
    ]
    assert "before_stop" not in web["hooks"]
    assert web["ready"]["start_timeout"] == "1d"
    assert any("no $MAINPID" in note.what for note in made.of("lost"))
