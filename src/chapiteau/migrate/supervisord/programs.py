"""[program:x] and [fcgi-program:x] → one service, or one for each process where they differ."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target, expand_home
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules, limit_failed_starts, lost, try_rule
from chapiteau.migrate.source import Option
from chapiteau.migrate.supervisord.expansion import Expansion, read_pairs
from chapiteau.migrate.supervisord.rules import COMBINED, FCGI, PROGRAM
from chapiteau.migrate.values import boolean, integer, octal, one_line

__all__ = ["Daemon", "convert_program"]

_NUMBERED: Final = re.compile(r"%\(process_num\)")
_PLAIN_NUMBER: Final = re.compile(r"%\(process_num\)[ds]")
_TCP: Final = re.compile(r"tcp://([^\s:]+):(\d+)$")
_TERMINAL: Final = re.compile(r"/dev/(?:stdout|stderr|fd/[12])|/proc/(?:self|1)/fd/[12]")
_ROTATION: Final = re.compile(r"std(?:out|err)_logfile_(?:maxbytes|backups)")
_MOST: Final = 1000  # services made of one program; more is a slip of the keyboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What [supervisord] says for every program."""

    here: str
    env: Mapping[str, str]
    defaults: Mapping[str, Any]  # settings of services, by our names


def convert_program(draft: Draft, section: Section, daemon: Daemon, group: str) -> list[str]:
    """The services made of one program; gives their names."""
    kind, _, name = section.name.partition(":")
    name = name.strip()
    count, start = (
        _count(draft, section, "numprocs", 1),
        _count(draft, section, "numprocs_start", 0),
    )
    numbered = [o for o in section.options if _NUMBERED.search(str(o.value))]
    telling = [o for o in numbered if o.name != "process_name"]
    one_by_one = count > 1 and bool(telling) and not _fits(telling, start)
    numbers: list[int | str] = [start] if count <= 1 else ["${process.number}"]
    if one_by_one:
        numbers = list(range(start, start + min(count, _MOST)))
    made = []
    for number in numbers:
        own = name if not one_by_one else f"{name}-{number:02d}"
        named = Option(name="name", value=own, where=section.where, section=section.title)
        target = draft.named("service", named)
        values = {
            "here": daemon.here,
            "program_name": name,
            "group_name": group or name,
            "process_num": number,
            "numprocs": count,
        }
        _one(target, section, daemon, values)
        if group:
            target.set("labels.group", group)
        if count != 1 and not one_by_one:
            target.set("processes", count, section.get("numprocs"))
        made.append(target.name)
    _account(draft, section, made, telling if one_by_one else [])
    if kind == "fcgi-program":
        _socket(draft, section, name, made, daemon)
    return made


def _count(draft: Draft, section: Section, key: str, default: int) -> int:
    option = section.get(key)
    if option is None:
        return default
    try:
        return max(0, integer(option.value))
    except ValueError as exc:
        what = f"its value can't be used, and is taken as {default}: {exc}"
        draft.table("project").lost(option, what, "set processes to what this server shall have")
        return default


def _fits(telling: list[Option], start: int) -> bool:
    """Whether ${process.number}, which counts from 1, says the same."""
    return start == 1 and all(
        len(_PLAIN_NUMBER.findall(str(o.value))) == len(_NUMBERED.findall(str(o.value)))
        for o in telling
    )


def _account(draft: Draft, section: Section, made: list[str], telling: list[Option]) -> None:
    for key in ("numprocs", "numprocs_start"):
        option = section.get(key)
        if option is None:
            continue
        target = draft.table("service", made[0]) if made else draft.table("project")
        if telling:
            target.changed(
                option,
                f"became {len(made)} services, because {' and '.join(o.name for o in telling)} "
                "differ by %(process_num)",
                "let processes share a socket instead: then processes = N is enough",
            )
        else:
            target.kept(option, "processes" if key == "numprocs" else "processes count from 1")


def _one(target: Target, section: Section, daemon: Daemon, values: Mapping[str, str | int]) -> None:
    environment = section.get("environment")
    env = dict(daemon.env)
    if environment:
        try:
            filled = Expansion(values=values, env=daemon.env).fill(str(environment.value))
            env.update(read_pairs(filled))
            target.kept(environment, "env")
        except ValueError as exc:
            target.lost(environment, f"its value can't be used: {exc}", "set env by hand")
    if env:
        target.set("env", env, environment)
    filling = Expansion(values=values, env=env)
    for key, value in daemon.defaults.items():
        target.set(key, value)
    options = [_filled(option, filling, target) for option in section.options]
    sound = _without_rotation([o for o in options if o is not None], target)
    _command(target, section, sound)
    apply_rules(
        [o for o in sound if o.name not in COMBINED and o.name not in FCGI], PROGRAM, target
    )
    _logs(target, {o.name: o for o in sound})
    _defaults(target, section)


def _filled(option: Option, filling: Expansion, target: Target) -> Option | None:
    if option.name in ("environment", "process_name"):
        return option
    try:
        value = filling.fill(str(option.value))
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "set it by hand")
        return None
    return Option(name=option.name, value=value, where=option.where, section=option.section)


def _without_rotation(options: list[Option], target: Target) -> list[Option]:
    """What is left when streams that go to the terminal are not rotated, as ever."""
    files = {o.name: o for o in options if o.name in ("stdout_logfile", "stderr_logfile")}
    left = []
    for option in options:
        stream = files.get(option.name.rpartition("_")[0])
        if _ROTATION.fullmatch(option.name) and stream is not None and _is_terminal(stream):
            target.kept(option, "there is no file to rotate")
        else:
            left.append(option)
    return left


def _defaults(target: Target, section: Section) -> None:
    """supervisord's defaults that are not ours."""
    if section.get("autorestart") is None:
        target.set("restart.policy", "on-failure")
    if section.get("startsecs") is None:
        target.set("ready.alive", "1s")
        target.set("restart.healthy_after", "1s")
    if target.get("ready.alive") is None:
        return  # startsecs = 0: no start ever fails, so nothing is given up
    again = section.get("autorestart")
    if again is not None and target.get("restart.policy") == "never":
        target.changed(
            again,
            "one that ends before startsecs is not tried again; supervisord does, a few times",
        )
    if target.get("restart.attempts") is None:
        target.set("restart.attempts", 3)
    target.set("restart.delay", "2s")  # 0, 2, 4 … seconds, where supervisord waits 1, 2, 3 …
    limit_failed_starts(target)


def _command(target: Target, section: Section, options: list[Option]) -> None:
    command = next((o for o in options if o.name == "command"), None)
    if command is None:
        return
    try:
        text = one_line(str(command.value))
    except ValueError as exc:
        target.lost(command, str(exc), "close the quote, then import again")
        return
    target.put(command, "command", text)


# ── logs ──────────────────────────────────────────────────────────────────────────────────────
def _logs(target: Target, options: Mapping[str, Option]) -> None:
    redirect = options.get("redirect_stderr")
    joined = False
    if redirect:
        try:
            joined = boolean(redirect.value)
            target.kept(redirect, "both streams go to one file")
        except ValueError as exc:
            target.lost(redirect, f"its value can't be used: {exc}", "both streams go to one file")
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
        lost("was a file for errors alone", hint)(err, target)


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
        target.changed(option, "output goes to the terminal while `chapiteau up` is in front")
    else:
        try_rule(option, target, partial(_own_file, target, option))


def _own_file(target: Target, option: Option) -> None:
    target.put(option, "log.file", expand_home(str(option.value)))


# ── FastCGI ───────────────────────────────────────────────────────────────────────────────────
def _socket(draft: Draft, section: Section, name: str, made: list[str], daemon: Daemon) -> None:
    option = section.get("socket")
    if option is None:
        return
    values = {"here": daemon.here, "program_name": name}
    origin = Option(name="socket", value=name, where=option.where, section=section.title)
    try:
        address = Expansion(values=values, env=daemon.env).fill(str(option.value))
        settings = _address(address)
    except ValueError as exc:
        draft.table("service", made[0]).lost(option, str(exc), "add a [socket.NAME] by hand")
        return
    target = draft.named("socket", origin)
    for key, value in settings.items():
        target.set(key, value, option)
    apply_rules([o for o in section.options if o.name in FCGI], FCGI, target)
    if "path" in settings and target.get("mode") is None:
        target.set("mode", octal("700"))
    for service in made:
        draft.table("service", service).set("stdin_socket", target.name, option)


def _address(text: str) -> dict[str, Any]:
    if text.startswith("unix://"):
        return {"path": text[7:]}
    match = _TCP.match(text)
    if match is None:
        raise ValueError(f"{text!r} is neither unix:///path nor tcp://host:port")
    return {"host": match[1], "port": int(match[2])}
