"""[program:x] and [fcgi-program:x] → one service, or one for each process where they differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target, expand_home
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules, limit_failed_starts
from chapiteau.migrate.source import Option
from chapiteau.migrate.supervisord.rules import TABLES, Expansion, read_pairs
from chapiteau.migrate.values import integer, one_line

__all__ = ["Daemon", "convert_program"]

_NUMBERED: Final = re.compile(r"%\(process_num\)")
_PLAIN_NUMBER: Final = re.compile(r"%\(process_num\)[ds]")
_TCP: Final = re.compile(r"tcp://([^\s:]+):(\d+)$")
_TERMINAL: Final = re.compile(r"/dev/(?:stdout|stderr|fd/[12])|/proc/(?:self|1)/fd/[12]")
_ROTATION: Final = re.compile(r"std(?:out|err)_logfile_(?:maxbytes|backups)")
_MOST: Final = 1000  # services made of one program; more is a slip of the keyboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What [supervisord] sets for every program."""

    here: str
    env: Mapping[str, str]
    defaults: Mapping[str, Any]  # settings of services, by our names


def convert_program(draft: Draft, section: Section, daemon: Daemon, group: str) -> list[Target]:
    """The services made of one program."""
    name = section.label
    count = _count(draft, section, "numprocs", 1)
    start = _count(draft, section, "numprocs_start", 0)
    numbered = [o for o in section.without("process_name") if _NUMBERED.search(str(o.value))]
    one_by_one = count > 1 and bool(numbered) and not _counts_from_one(numbered, start)
    numbers: list[int | str] = [start] if count <= 1 else ["${process.number}"]
    if one_by_one:
        numbers = list(range(start, start + min(count, _MOST)))
    made = []
    for number in numbers:
        own = f"{name}-{number:02d}" if one_by_one else name
        target = draft.named("service", section.named(own))
        values = {
            "here": daemon.here,
            "program_name": name,
            "group_name": group or name,
            "process_num": number,
            "numprocs": count,
        }
        _service(target, section, daemon, values)
        if group:
            target.set("labels.group", group)
        if count != 1 and not one_by_one:
            target.set("processes", count, section.get("numprocs"))
        made.append(target)
    _note_count(section, made, numbered if one_by_one else [])
    if section.kind == "fcgi-program":
        _socket(draft, section, made, daemon)
    return made


def _count(draft: Draft, section: Section, key: str, default: int) -> int:
    option = section.get(key)
    if option is None:
        return default
    try:
        return max(0, integer(option.value))
    except ValueError as exc:
        what = f"its value can't be used, and is taken as {default}: {exc}"
        draft.project.lost(option, what, "set processes to what this server shall have")
        return default


def _counts_from_one(numbered: Sequence[Option], start: int) -> bool:
    """Whether ${process.number} gives the same numbers."""
    return start == 1 and all(
        len(_PLAIN_NUMBER.findall(str(o.value))) == len(_NUMBERED.findall(str(o.value)))
        for o in numbered
    )


def _note_count(section: Section, made: Sequence[Target], numbered: Sequence[Option]) -> None:
    for key in ("numprocs", "numprocs_start"):
        option = section.get(key)
        if option is None:
            continue
        if numbered:
            made[0].changed(
                option,
                f"became {len(made)} services, because {' and '.join(o.name for o in numbered)} "
                "differ by %(process_num)",
                "let processes share a socket instead: then processes = N is enough",
            )
        else:
            made[0].kept(option, "processes" if key == "numprocs" else "processes count from 1")


def _service(
    target: Target, section: Section, daemon: Daemon, values: Mapping[str, str | int]
) -> None:
    env = dict(daemon.env)
    if environment := section.get("environment"):
        with target.reading(environment, "set env by hand"):
            filled = Expansion(values=values, env=daemon.env).fill(str(environment.value))
            env.update(read_pairs(filled))
            target.kept(environment, "env")
    if env:
        target.set("env", env, environment)
    for key, value in daemon.defaults.items():
        target.set(key, value)
    sound = _filled(target, section, Expansion(values=values, env=env))
    if command := sound.get("command"):
        with target.reading(command, "close the quote, then import again"):
            target.put(command, "command", one_line(str(command.value)))
    simple = [o for o in sound.values() if o.name not in TABLES["fcgi-program"]]
    apply_rules(simple, TABLES["program"], target)
    _logs(target, sound)
    _defaults(target, section)


def _filled(target: Target, section: Section, filling: Expansion) -> dict[str, Option]:
    """The options by name; those that can't be filled in, or rotate a terminal, are noted."""
    sound = {}
    for option in section.options:
        with target.reading(option, "set it by hand"):
            literal = option.name in ("environment", "process_name")
            value = option.value if literal else filling.fill(str(option.value))
            sound[option.name] = replace(option, value=value)
    for name in [name for name in sound if _ROTATION.fullmatch(name)]:
        stream = sound.get(name.rpartition("_")[0])
        if stream is not None and _is_terminal(stream):
            target.kept(sound.pop(name), "there is no file to rotate")
    return sound


def _defaults(target: Target, section: Section) -> None:
    """supervisord's defaults that are not ours."""
    again = section.get("autorestart")
    if again is None:
        target.set("restart.policy", "on-failure")
    if section.get("startsecs") is None:
        target.set("ready.alive", "1s")
        target.set("restart.healthy_after", "1s")
    if target.get("ready.alive") is None:
        return  # startsecs = 0: no start ever fails, so nothing is given up
    if again is not None and target.get("restart.policy") == "never":
        what = "one that ends before startsecs is not tried again; supervisord does, a few times"
        target.changed(again, what)
    target.defaults({"restart.attempts": 3})
    target.set("restart.delay", "2s")  # 0, 2, 4 … seconds, where supervisord waits 1, 2, 3 …
    limit_failed_starts(target)


# ── logs ──────────────────────────────────────────────────────────────────────────────────────
def _logs(target: Target, options: Mapping[str, Option]) -> None:
    redirect, joined = options.get("redirect_stderr"), False
    if redirect:
        joined = target.is_on(redirect)
        target.kept(redirect, "both streams go to one file")
    out, err = options.get("stdout_logfile"), options.get("stderr_logfile")
    if out:
        _log_file(target, out)
    if err is None:
        return
    if joined:
        target.kept(err, "supervisord ignores it with redirect_stderr")
    elif out is None and target.get("log.file") is None:
        _log_file(target, err)
        target.changed(err, "was a file for errors alone: both streams go there now")
    elif out is not None and (out.value == err.value or (_is_terminal(out) and _is_terminal(err))):
        target.kept(err, "both streams go to one place")
    else:
        hint = "both streams go to one file; JSON lines (log.format) tell them apart"
        target.lost(err, "was a file for errors alone", hint)


def _is_terminal(option: Option) -> bool:
    return _TERMINAL.fullmatch(str(option.value).strip().lower()) is not None


def _log_file(target: Target, option: Option) -> None:
    word = str(option.value).strip().lower()
    if word in ("none", "off"):
        target.put(option, "log.file", "none")
    elif word == "auto":
        target.kept(option, "a file in RUN_DIR/log, which is kept at a restart")
    elif word == "syslog":
        target.set("log.syslog", "/dev/log", option)
        target.put(option, "log.file", "none")
    elif _is_terminal(option):
        target.set("log.file", "none", option)
        what = "output goes to the terminal while `chapiteau up` is in the foreground"
        target.changed(option, what)
    else:
        with target.reading(option):
            target.put(option, "log.file", expand_home(str(option.value)))


# ── FastCGI ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, section: Section, made: Sequence[Target], daemon: Daemon) -> None:
    option = section.get("socket")
    if option is None:
        return
    values = {"here": daemon.here, "program_name": section.label}
    with made[0].reading(option, "add a [socket.NAME] by hand"):
        settings = _address(Expansion(values=values, env=daemon.env).fill(str(option.value)))
        target = draft.named("socket", replace(option, value=section.label))
        for key, value in settings.items():
            target.set(key, value, option)
        fcgi = TABLES["fcgi-program"]
        apply_rules([o for o in section.options if o.name in fcgi], fcgi, target)
        if "path" in settings:
            target.defaults({"mode": "0700"})
        for service in made:
            service.set("stdin_socket", target.name, option)


def _address(text: str) -> dict[str, str | int]:
    if text.startswith("unix://"):
        return {"path": text[7:]}
    match = _TCP.match(text)
    if match is None:
        raise ValueError(f"{text!r} is neither unix:///path nor tcp://host:port")
    return {"host": match[1], "port": int(match[2])}
