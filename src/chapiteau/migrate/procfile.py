"""Procfile (with .env, .foreman and .overmind.env beside it) → chapiteau.toml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.finish import finish
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import Rule, apply_rules, described, for_each, lost, unneeded
from chapiteau.migrate.source import ImportOptions, Option, Source, unreadable
from chapiteau.migrate.values import exec_line, integer, needs_shell, seconds, signal_name
from chapiteau.run.process.environment import parse_env_file

__all__ = ["FOREMAN", "OVERMIND", "import_procfile", "parse_formation"]

_LINE: Final = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)$")
_PORT: Final = re.compile(r"\$(?:PORT\b|\{PORT\b)")
_SIMPLE: Final = re.compile(r"[\w@%+=:,./\s-]+")  # nothing that a shell would act on
_MOST: Final = 1000  # services made of one process type; more is a slip of the keyboard


@dataclass(slots=True)
class _Plan:
    """What the files beside the Procfile and the command line say about all processes."""

    formation: dict[str, int] = field(default_factory=dict)
    port: int = 5000
    step: int = 100
    ports: bool = True
    stop_timeout: str = "5s"
    stop_signals: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)
    can_die: set[str] = field(default_factory=set)
    stays_up: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    only: set[str] = field(default_factory=set)


def import_procfile(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """One or several Procfiles.

    Raises UsageError, with the line, when there is no process type in it at all.
    """
    draft = Draft()
    top = draft.table("project")
    plan = _Plan(port=choices.port)
    for source in sources:
        _dot_env(top, source, choices, plan)
        _settings(top, source, choices, plan)
    plan.formation |= choices.formation
    for source in sources:
        _processes(draft, source, plan)
    _missing(top, plan, draft)
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (Procfile).")


# ── files beside the Procfile ─────────────────────────────────────────────────────────────────
def _dot_env(top: Target, source: Source, choices: ImportOptions, plan: _Plan) -> None:
    for found in choices.beside(source, ".env"):
        option = Option(name="", value=".env", where=found.where(1), section=found.name)
        plan.env_files.append(".env")
        top.kept(option, "env_files of every service: it is read at each start")
        try:
            values = parse_env_file(found.text)
        except ValueError as exc:
            top.changed(option, f"has a line that Chapiteau refuses: {exc}", "correct that line")
            continue
        if values.get("PORT", "").isdecimal():
            plan.port = int(values["PORT"])


def _settings(top: Target, source: Source, choices: ImportOptions, plan: _Plan) -> None:
    for name, rules, pattern in (
        (".foreman", FOREMAN, r"\s*([\w-]+)\s*:\s*(.*)"),
        (".overmind.env", OVERMIND, r"\s*(?:export\s+)?OVERMIND_(\w+)\s*=\s*(.*)"),
    ):
        for found in choices.beside(source, name):
            options = list(_options(top, found, re.compile(pattern)))
            for option in options:
                _take(plan, option)
            apply_rules(options, rules, top)


def _options(top: Target, source: Source, pattern: re.Pattern[str]) -> list[Option]:
    made = []
    for number, line in enumerate(source.rows(), 1):
        text = line.strip()
        if not text or text.startswith("#") or text == "---":
            continue
        match = pattern.fullmatch(text)
        where, section = source.where(number), source.name.rpartition("/")[2]
        if match is None:
            option = Option(name=text[:40], value=text, where=where, section=section)
            top.lost(option, "is not understood", "put it into env by hand")
            continue
        value = match[2].strip().strip("\"'")
        made.append(Option(name=match[1], value=value, where=where, section=section))
    return made


def _take(plan: _Plan, option: Option) -> None:
    """Put one setting into the plan. A value that makes no sense is reported by its rule."""
    value, name = str(option.value), option.name.lower().replace("-", "_")
    try:
        if name in ("formation", "concurrency"):
            plan.formation |= parse_formation(value)
        elif name == "port":
            plan.port = integer(value)
        elif name == "port_step":
            plan.step = integer(value)
        elif name == "no_port":
            plan.ports = False
        elif name == "timeout":
            plan.stop_timeout = seconds(value)
        elif name == "env":
            plan.env_files += [f for f in value.split(",") if f and f not in plan.env_files]
        elif name == "stop_signals":
            pairs = (part.partition("=") for part in value.split(","))
            plan.stop_signals |= {key: signal_name(word) for key, _, word in pairs}
        else:
            _take_names(plan, name, {part.strip() for part in value.split(",") if part.strip()})
    except ValueError:
        return


def _take_names(plan: _Plan, name: str, names: set[str]) -> None:
    lists = {
        "can_die": plan.can_die,
        "auto_restart": plan.stays_up,
        "ignored_processes": plan.ignored,
        "processes": plan.only,
    }
    if name in lists:
        lists[name] |= names


def parse_formation(text: str) -> dict[str, int]:
    """Processes per type in "web=2,worker=1". Raises ValueError."""
    found = {}
    for part in text.split(","):
        name, equals, count = part.strip().partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not TYPE=NUMBER")
        found[name.strip()] = integer(count)
        if found[name.strip()] < 0:
            raise ValueError(f"{part!r}: fewer than none")
    return found


def _checked(read: Mapping[str, object], key: str, what: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        reader = read[key]
        if callable(reader):
            reader(str(option.value))
        target.kept(option, what)

    return described(what, rule)


_READ: Final = {"formation": parse_formation, "integer": integer, "seconds": seconds}

FOREMAN: Final[dict[str, Rule]] = {
    **for_each("formation concurrency", _checked(_READ, "formation", "processes")),
    "port": _checked(_READ, "integer", "PORT of each service"),
    "env": unneeded("env_files of every service"),
    "timeout": _checked(_READ, "seconds", "stop_timeout of every service"),
    **for_each(
        "procfile root app-root app_root", lost("named another file or folder", "import that file")
    ),
    "color": unneeded("the terminal is asked whether it has colours"),
}

OVERMIND: Final[dict[str, Rule]] = {
    "FORMATION": _checked(_READ, "formation", "processes"),
    **for_each("PORT PORT_STEP", _checked(_READ, "integer", "PORT of each service")),
    "FORMATION_PORT_STEP": lost("was the distance of ports within a type", "set PORT by hand"),
    "NO_PORT": unneeded("no PORT is set"),
    "ENV": unneeded("env_files of every service"),
    "TIMEOUT": _checked(_READ, "seconds", "stop_timeout of every service"),
    "STOP_SIGNALS": unneeded("stop_signal of the services"),
    "CAN_DIE": unneeded("restart.policy and essential of the services"),
    "AUTO_RESTART": unneeded("restart.policy of the services"),
    **for_each("IGNORED_PROCESSES PROCESSES", unneeded("autostart of the services")),
    **for_each("PROCFILE ROOT", lost("named another file or folder", "import that file")),
    **for_each(
        "TITLE SOCKET NETWORK TMUX_CONFIG COLORS SHOW_TIMESTAMPS SKIP_ENV SHELL DAEMONIZE "
        "ANY_CAN_DIE",
        lost("was about Overmind itself", "chapiteau up --help shows what there is"),
    ),
}


# ── the Procfile ──────────────────────────────────────────────────────────────────────────────
def _processes(draft: Draft, source: Source, plan: _Plan) -> None:
    seen: set[str] = set()
    port = plan.port
    top = draft.table("project")
    for number, line in enumerate(source.rows(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.match(line)
        where = source.where(number)
        if match is None or match[1] in seen:
            option = Option(name=text[:40], value=text, where=where, section=source.name)
            what = "is a second line for the same name" if match else "is no `name: command` line"
            top.lost(option, what, "give it a name of its own")
            continue
        seen.add(match[1])
        option = Option(name=match[1], value=match[2].strip(), where=where)
        _process(draft, option, plan, port)
        port += plan.step
    if not seen:
        raise unreadable(
            source.name,
            "has no line `name: command`",
            "is it really a Procfile? --from KIND says of which kind it is",
        )


def _process(draft: Draft, option: Option, plan: _Plan, port: int) -> None:
    count = plan.formation.get(option.name, 1)
    apart = plan.ports and count > 1 and bool(_PORT.search(str(option.value)))
    for index in range(min(count, _MOST) if apart else 1):
        name = f"{option.name}-{index + 1}" if apart else option.name
        named = Option(name=option.name, value=name, where=option.where)
        target = draft.named("service", named)
        _one(target, option, plan, port + index)
        if not apart and count != 1:
            target.set("processes", max(0, count), option)
    if apart:
        target.changed(
            option,
            f"became {count} services, because each has a PORT of its own",
            "let processes share a socket instead: then processes = N is enough",
        )
    elif count > 1 and plan.ports:
        target.changed(
            option,
            f"all {count} processes see the same PORT",
            "use ${process.number} where they have to differ",
        )


def _one(target: Target, option: Option, plan: _Plan, port: int) -> None:
    command = str(option.value)
    if _SIMPLE.fullmatch(command) and not needs_shell(command):
        target.put(option, "command", command)
        target.set("stop_group", True)  # foreman and honcho signal the group; with shell it is so
    else:
        target.put(option, "command", literal(exec_line(command)))
        target.set("shell", True)
    if plan.env_files:
        target.set("env_files", list(dict.fromkeys(plan.env_files)))
    if plan.ports:
        target.set("env.PORT", str(port))
    target.set("stop_timeout", plan.stop_timeout)
    if signal := plan.stop_signals.get(option.name):
        target.set("stop_signal", signal)
    _life(target, option, plan)


def _life(target: Target, option: Option, plan: _Plan) -> None:
    kind = option.name
    if kind in plan.ignored or (plan.only and kind not in plan.only):
        target.set("autostart", False)
    if kind == "release":
        target.set("one_shot", True)
        target.set("restart.policy", "never")
        target.changed(
            option,
            "runs once and must end with 0, as in a release phase; the others need it",
            "take one_shot and `needs` out if it is an ordinary process",
        )
    elif kind in plan.can_die and kind not in plan.stays_up:
        target.set("restart.policy", "never")
    elif kind not in plan.stays_up:
        target.changed(
            option,
            "is started again when it ends; foreman and honcho stop everything then",
            'essential = true and restart = { policy = "never" } do as they do',
        )


def _missing(top: Target, plan: _Plan, draft: Draft) -> None:
    services = draft.tables.get("service", {})
    if "release" in services:
        for name, table in services.items():
            if name != "release":
                table["needs"] = ["release"]
    origins = {o.name for p, o in draft.origins.items() if p[:1] == ("service",)}
    for name, count in plan.formation.items():
        if name not in origins and name != "all":
            option = Option(name=name, value=count, where="formation")
            top.lost(option, "names a process type that is not there", "correct the name")
