"""A Procfile and the settings of foreman and Overmind beside it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.finish import finish
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules, read_tables
from chapiteau.migrate.source import ImportOptions, Option, Source, unreadable
from chapiteau.migrate.values import exec_line, integer, needs_shell, seconds, signal_name
from chapiteau.run.process.environment import parse_env_file

__all__ = ["TABLES", "import_procfile", "parse_formation"]

_LINE: Final = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)$")
_PORT: Final = re.compile(r"\$(?:PORT\b|\{PORT\b)")
_SIMPLE: Final = re.compile(r"[\w@%+=:,./\s-]+")  # nothing that a shell would act on
_MOST: Final = 1000  # services made of one process type; more is a slip of the keyboard
_SETTINGS: Final = (
    (".foreman", "foreman", re.compile(r"\s*([\w-]+)\s*:\s*(.*)")),
    (".overmind.env", "overmind", re.compile(r"\s*(?:export\s+)?OVERMIND_(\w+)\s*=\s*(.*)")),
)


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


TABLES: Final = read_tables("chapiteau.migrate.procfile", {"formation": parse_formation})


@dataclass(slots=True)
class _Plan:
    """What the files beside the Procfile and the command line say about all processes."""

    port: int
    formation: dict[str, int] = field(default_factory=dict)
    step: int = 100
    ports: bool = True
    stop_timeout: str = "5s"
    stop_signals: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)
    names: dict[str, set[str]] = field(default_factory=dict)  # of process types, by setting

    def has(self, setting: str, name: str) -> bool:
        """Whether a setting that lists process types names this one."""
        return name in self.names.get(setting, ())

    def take(self, option: Option) -> None:
        """One setting. Raises ValueError for a value that makes no sense."""
        value, name = str(option.value), option.name.lower().replace("-", "_")
        if name in ("formation", "concurrency"):
            self.formation |= parse_formation(value)
        elif name == "port":
            self.port = integer(value)
        elif name == "port_step":
            self.step = integer(value)
        elif name == "no_port":
            self.ports = False
        elif name == "timeout":
            self.stop_timeout = seconds(value)
        elif name == "env":
            self.env_files += [f for f in value.split(",") if f and f not in self.env_files]
        elif name == "stop_signals":
            pairs = (part.partition("=") for part in value.split(","))
            self.stop_signals |= {key: signal_name(word) for key, _, word in pairs}
        else:
            self.names[name] = {part.strip() for part in value.split(",") if part.strip()}


def import_procfile(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """One or several Procfiles.

    Raises UsageError, with the line, when there is no process type in it at all.
    """
    draft = Draft()
    plan = _Plan(port=options.port)
    for source in sources:
        _dot_env(draft.project, source, options, plan)
        _settings(draft.project, source, options, plan)
    plan.formation |= options.formation
    for source in sources:
        _processes(draft, source, plan)
    services = draft.tables.get("service", {})
    if "release" in services:
        for name, table in services.items():
            if name != "release":
                table["needs"] = ["release"]
    known = {o.name for path, o in draft.origins.items() if path[:1] == ("service",)} | {"all"}
    for name in [name for name in plan.formation if name not in known]:
        option = Option(name=name, value=plan.formation[name], where="formation")
        draft.project.lost(option, "names a process type that is not there", "correct the name")
    return finish(draft, sources, "Procfile")


# ── files beside the Procfile ─────────────────────────────────────────────────────────────────
def _dot_env(top: Target, source: Source, options: ImportOptions, plan: _Plan) -> None:
    for found in options.nearby(source, ".env"):
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


def _settings(top: Target, source: Source, options: ImportOptions, plan: _Plan) -> None:
    for name, table, pattern in _SETTINGS:
        for found in options.nearby(source, name):
            given = _given(top, found, pattern.fullmatch)
            apply_rules(given, TABLES[table], top)
            for option in given:
                with top.reading(option):
                    plan.take(option)


def _given(
    top: Target, source: Source, match_line: Callable[[str], re.Match[str] | None]
) -> list[Option]:
    made = []
    section = source.name.rpartition("/")[2]
    for number, line in enumerate(source.rows(), 1):
        text, where = line.strip(), source.where(number)
        if not text or text.startswith("#") or text == "---":
            continue
        match = match_line(text)
        if match is None:
            option = Option(name=text[:40], value=text, where=where, section=section)
            top.lost(option, "is not understood", "put it into env by hand")
            continue
        value = match[2].strip().strip("\"'")
        made.append(Option(name=match[1], value=value, where=where, section=section))
    return made


# ── the Procfile ──────────────────────────────────────────────────────────────────────────────
def _processes(draft: Draft, source: Source, plan: _Plan) -> None:
    seen: set[str] = set()
    port = plan.port
    for number, line in enumerate(source.rows(), 1):
        text, where = line.strip(), source.where(number)
        if not text or text.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or match[1] in seen:
            option = Option(name=text[:40], value=text, where=where, section=source.name)
            what = "is a second line for the same name" if match else "is no `name: command` line"
            draft.project.lost(option, what, "give it a name of its own")
            continue
        seen.add(match[1])
        _process(draft, Option(name=match[1], value=match[2].strip(), where=where), plan, port)
        port += plan.step
    if not seen:
        hint = "is it really a Procfile? --from KIND sets the kind"
        raise unreadable(source.name, "has no line `name: command`", hint)


def _process(draft: Draft, option: Option, plan: _Plan, port: int) -> None:
    count = plan.formation.get(option.name, 1)
    apart = plan.ports and count > 1 and bool(_PORT.search(str(option.value)))
    target = draft.project
    for index in range(min(count, _MOST) if apart else 1):
        name = f"{option.name}-{index + 1}" if apart else option.name
        named = Option(name=option.name, value=name, where=option.where)
        target = draft.named("service", named)
        _service(target, option, plan, port + index)
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


def _service(target: Target, option: Option, plan: _Plan, port: int) -> None:
    command, kind = str(option.value), option.name
    if _SIMPLE.fullmatch(command) and not needs_shell(command):
        target.put(option, "command", command)
        target.set("stop_group", True)  # foreman and honcho signal the group; with shell it is so
    else:
        target.put(option, "command", literal(exec_line(command)))
        target.set("shell", True)
    if plan.env_files:
        target.add("env_files", plan.env_files)
    if plan.ports:
        target.set("env.PORT", str(port))
    target.set("stop_timeout", plan.stop_timeout)
    if signal := plan.stop_signals.get(kind):
        target.set("stop_signal", signal)
    only = plan.names.get("processes", {kind})
    if plan.has("ignored_processes", kind) or kind not in only:
        target.set("autostart", False)
    if kind == "release":
        target.set("one_shot", True)
        target.set("before_reload", True)
        target.set("restart.policy", "never")
        target.changed(
            option,
            "runs before a start or reload of the others and must end with 0, as a release phase",
            "take one_shot and `needs` out if it is an ordinary process",
        )
    elif plan.has("can_die", kind) and not plan.has("auto_restart", kind):
        target.set("restart.policy", "never")
    elif not plan.has("auto_restart", kind):
        target.changed(
            option,
            "is restarted when it ends; foreman and honcho stop everything then",
            'essential = true and restart = { policy = "never" } do as they do',
        )
