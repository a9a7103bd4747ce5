"""The processes of a process-compose file: each a service, and how they wait for each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.process_compose.rules import SIMPLE, TABLES
from chapiteau.migrate.process_compose.variables import Filling, pairs, resolve
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import Option, Source
from chapiteau.migrate.values import boolean, duration, integer, needs_shell, text

__all__ = ["Project"]

Options = Mapping[str, Option]
# What process-compose skips by itself; `.*` stands for .git, .venv and their like.
_SKIPPED: Final = (
    ".* node_modules vendor target dist build bin venv __pycache__ result *.log *.log.gz".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """All processes together: what they share, and how they wait for each other."""

    draft: Draft
    sources: Sequence[Source]
    shared: Options  # the top level
    shared_env: Mapping[str, Any]
    dotenv: frozenset[str]
    services: Mapping[str, Target]  # by the name of the process
    processes: Mapping[str, Options]

    def convert(self) -> None:
        """Every process becomes a service."""
        top = self.draft.table()
        if whole := self.shared.get("log_location"):
            hint = "each service has a file of its own; `chapiteau logs` shows them together"
            top.lost(whole, "was one file for all processes", hint)
        self._log(top, self.shared.get("log_configuration"))
        for name, options in self.processes.items():
            _Process(self, self.services[name], options, self._filling(options)).convert()
        for name, options in self.processes.items():
            target = self.services[name]
            if (depends := options.get("depends_on")) and self.is_mapping(target, depends):
                for option in self.parts(depends):
                    with target.reading(option):
                        self._wait(target, option)

    def _filling(self, options: Options) -> Filling:
        known: dict[str, Any] = {}
        for source in (self.shared.get("vars"), options.get("vars")):
            if source and isinstance(source.value, Mapping):
                known |= source.value
        off = self.shared.get("disable_env_expansion")
        return Filling(vars=known, dotenv=self.dotenv, expand=not (off and off.value is True))

    def is_mapping(self, target: Target, option: Option) -> bool:
        if not isinstance(option.value, Mapping):
            target.lost(option, f"is no mapping: {option.value!r}", "set it by hand")
            return False
        return True

    def parts(self, option: Option) -> list[Option]:
        """The keys of an option that is a mapping."""
        values = option.value if isinstance(option.value, Mapping) else {}
        places = getattr(values, "where", {})
        return [
            Option(
                name=str(key),
                value=value,
                where=places.get(key) or self._place(option, str(key)),
                section=f"{option.title}.",
            )
            for key, value in values.items()
        ]

    def _place(self, option: Option, key: str) -> str:
        """The line of a key below an option: the first after it with that key in its file."""
        name, _, line = option.where.rpartition(":")
        for source in self.sources:
            if source.name == name and source.tree and line.isdecimal():
                lines = source.tree.lines.items()
                below = [n for p, n in lines if p and p[-1] == key and n >= int(line)]
                if below:
                    return source.where(min(below))
        return option.where

    def _log(self, target: Target, setup: Option | None) -> Mapping[str, Any]:
        """log_configuration, of all or of one process; gives its `rotation`."""
        if not setup or not self.is_mapping(target, setup):
            return {}
        parts = self.parts(setup)
        apply_rules(parts, TABLES["log_configuration"], target)
        target.set("log.mode", "line")
        if not any(o.name == "disable_json" and o.value is True for o in parts):
            target.set("log.format", "json")
        rotation: Mapping[str, Any] = {}
        for option in (o for o in parts if o.name == "rotation"):
            apply_rules(self.parts(option), TABLES["rotation"], target)
            rotation = option.value if isinstance(option.value, Mapping) else {}
        return rotation

    def log(self, target: Target, options: Options) -> None:
        """log_configuration of one process, with the file that its rotation may name."""
        rotation = self._log(target, setup := options.get("log_configuration"))
        folder, name = rotation.get("directory"), rotation.get("filename")
        if isinstance(name, str) and name:
            whole = f"{folder}/{name}" if isinstance(folder, str) and folder else name
            target.set("log.file", whole, setup)

    def _wait(self, target: Target, option: Option) -> None:
        value = option.value or {}
        if isinstance(value, Mapping):
            value = value.get("condition") or "process_started"
        condition, other = text(value), self.services.get(option.name)
        if other is None:
            target.lost(option, "waits for a process that is not there", "add it by hand")
            return
        if condition not in _CONDITIONS:
            target.lost(option, f"{condition!r} is no condition", "write needs or after")
            return
        key = _CONDITIONS[condition]
        target.set(key, [*(target.get(key) or ()), other.name], option)
        if condition in ("process_completed_successfully", "process_completed"):
            other.set("one_shot", True)
            if other.values.pop("ready", None):
                probe = self.processes[option.name].get("readiness_probe", option)
                what = "is left out: it is ready when it has ended with success, as others want it"
                other.changed(probe, what)
            if other.get("essential"):
                what = f"{other.name} ends everything only when it fails: others wait for success"
                target.changed(option, what)
        if condition == "process_completed":
            hint = "a one-shot has to end with 0: end its command with `|| true`"
            target.lost(option, "waited for its end, with success or not", hint)
        else:
            target.kept(option, key)


_CONDITIONS: Final = {"process_started": "after"} | dict.fromkeys(
    ("process_healthy process_completed process_completed_successfully process_log_ready").split(),
    "needs",
)


@dataclass(frozen=True, slots=True)
class _Process:
    """One process, and what is known to fill in its variables."""

    project: Project
    target: Target
    options: Options
    filling: Filling

    def convert(self) -> None:
        target, options = self.target, self.options
        target.set("stop_group", True)  # unless it says parent_only
        apply_rules(self._filled(list(options.values()), "process"), TABLES["process"], target)
        self._environment()
        self._command()
        for key in ("availability", "shutdown", "schedule"):
            apply_rules(self._parts(key), TABLES[key], target)
        if watch := self._parts("watch"):
            self._watch(watch)
        self._defaults()
        for name, key in (("readiness_probe", "ready"), ("liveness_probe", "live")):
            if parts := self._parts(name, "readiness_probe"):
                self._probe(key, options[name], parts)
        if line := options.get("ready_log_line"):
            self._log_line(line)
        self.project.log(target, options)
        places = [o for o in options.values() if o.name == "log_location"]
        for place in self._filled(places, "process"):
            with target.reading(place):
                target.put(place, "log.file", text(place.value))

    def _filled(self, options: Sequence[Option], table: str) -> list[Option]:
        """Variables filled in; where ours takes no variable, by what stands for their absence."""
        made = []
        for option in options:
            value, rule = option.value, TABLES[table].get(option.name)
            later = table == "process" and option.name in _FILLED_LATER
            if isinstance(value, str) and not later:
                try:
                    value = self.filling.fill(value)
                except ValueError as exc:
                    self.target.lost(option, str(exc), "write the value down")
                    continue
            filled = replace(option, value=value)
            fixed = rule is not None and not rule.takes_text
            made.append(resolve(filled, self.target) if fixed else filled)
        return made

    def _parts(self, key: str, table: str = "") -> list[Option]:
        option = self.options.get(key)
        if option is None or not self.project.is_mapping(self.target, option):
            return []
        return self._filled(self.project.parts(option), table or key)

    def _environment(self) -> None:
        target, own = self.target, self.options.get("environment")
        if own and not isinstance(own.value, Mapping | list):
            what = f"is neither a mapping nor a list: {own.value!r}"
            target.lost(own, what, "set env by hand")
            own = None
        env = {**self.project.shared_env, **(pairs(own.value) if own else {})}
        for name, value in env.items():
            try:
                target.set_env(name, self.filling.fill(text(value)), own)
            except ValueError as exc:
                option = own or self.project.shared["environment"]
                target.lost(option, f"{name}: {exc}", "write the value down")
        if own:
            target.kept(own, "env")
        if "${process.number}" in str(target.get("env")):
            self._count_from_one(own or self.project.shared["environment"])
        off = self.options.get("is_dotenv_disabled")
        files = [".env"] if self.project.dotenv and not (off and off.value is True) else []
        if more := self.options.get("env_file"):
            listed = more.value if isinstance(more.value, list) else [more.value]
            files += [str(name) for name in listed]
            target.kept(more, "env_files")
        if files:
            target.set("env_files", files)

    def _count_from_one(self, option: Option) -> None:
        self.target.changed(
            option,
            "PC_REPLICA_NUM became ${process.number}, which counts from 1 instead of 0",
            "let the program subtract 1 where that matters",
        )

    def _command(self) -> None:
        target, option = self.target, self.options.get("command")
        entrypoint = self.options.get("entrypoint")
        if option is None:
            if entrypoint is not None:
                with target.reading(entrypoint, "set command by hand"):
                    parts = entrypoint.value if isinstance(entrypoint.value, list) else []
                    words = [self.filling.fill(text(word)) for word in parts]
                    target.put(entrypoint, "command", words)
            return
        with target.reading(option, "set command by hand"):
            line = self.filling.fill(text(option.value).strip(), for_shell=True)
            if "${process.number}" in line:
                self._count_from_one(option)
            self._shell_line(option, line)
        if entrypoint:
            target.kept(entrypoint, "process-compose ignores it beside command")

    def _shell_line(self, option: Option, line: str) -> None:
        own = self.options.get("shell") or self.project.shared.get("shell")
        shell = own.value if own and isinstance(own.value, Mapping) else {}
        if SIMPLE.fullmatch(line) and not needs_shell(line):
            self.target.put(option, "command", line)
        else:
            program = text(shell.get("shell_command") or "bash")
            argument = text(shell.get("shell_argument") or "-c")
            self.target.put(option, "command", [program, argument, line])
        if "shell" in self.options:
            self.target.kept(self.options["shell"], "command")

    def _defaults(self) -> None:
        """process-compose's defaults that are not ours."""
        self.target.defaults({"restart.policy": "never"})
        availability = self.options.get("availability")
        inner = availability.value if availability else {}
        if not isinstance(inner, Mapping) or inner.get("restart") != "exit_on_failure":
            return
        self.target.set("essential", True)
        if availability and not inner.get("exit_on_end"):
            self.target.changed(
                availability,
                "exit_on_failure became essential = true, which ends everything when it ends with "
                "success, too",
                "one_shot = true for what has work to do and ends: then success is no end",
            )

    def _watch(self, options: Sequence[Option]) -> None:
        """The options of one `watch`, and what process-compose skips without being told."""
        target = self.target
        apply_rules(options, TABLES["watch"], target)
        if not target.get("watch.paths"):
            target.values.pop("watch", None)
            return
        target.defaults({"watch.include": ["*"]})
        bare = any(o.name == "disable_default_excludes" and _is_true(o.value) for o in options)
        found = [*(() if bare else _SKIPPED), *(target.get("watch.exclude") or ())]
        target.set("watch.exclude", list(dict.fromkeys(found)))

    # ── checks ──────────────────────────────────────────────────────────────────────────────
    def _probe(self, key: str, option: Option, options: Sequence[Option]) -> None:
        """One probe as `ready` or `live`."""
        values = self.target.values.setdefault(key, {})
        inner = Target(self.project.draft, (*self.target.path, key), values)
        found = {o.name: o for o in options}
        apply_rules(options, TABLES["readiness_probe"], inner)
        parts: dict[str, list[Option]] = {}
        for name in ("http_get", "exec"):
            if name in found:
                parts[name] = self._filled(self.project.parts(found[name]), name)
                apply_rules(parts[name], TABLES[name], inner)
        if address := parts.get("http_get"):
            with inner.reading(option):
                inner.set("http", _url({o.name: o.value for o in address}), option)
            inner.values.pop("exec", None)
        if not inner.get("http") and not inner.get("exec"):
            del self.target.values[key]
            self.target.lost(option, "asks neither by HTTP nor by a command", "set it by hand")
            return
        inner.defaults({"interval": "10s", "timeout": "1s"})  # process-compose's
        if key == "ready":
            inner.set("start_timeout", _patience(found))

    def _log_line(self, option: Option) -> None:
        """ready_log_line: a line that contains this text."""
        if self.target.get("ready"):
            hint = "a service has one `ready` check"
            self.target.lost(option, "is a second check beside the probe", hint)
            return
        with self.target.reading(option):
            self.target.put(option, "ready.log", re.escape(text(option.value)).replace("\\ ", " "))


# These are filled in where it is known what they are for.
_FILLED_LATER: Final = frozenset(
    "command entrypoint environment env_file vars ready_log_line shell".split()
)


def _is_true(value: Any) -> bool:
    try:
        return boolean(value)
    except ValueError:
        return False  # reported by its rule


def _url(value: Mapping[str, Any]) -> str:
    def part(name: str, default: str) -> str:
        return text(value.get(name) or "").strip() or default

    port = part("port", part("num_port", ""))
    path = part("path", "/")
    address = f"{part('host', '127.0.0.1')}{f':{port}' if port else ''}"
    return f"{part('scheme', 'http')}://{address}{path if path.startswith('/') else f'/{path}'}"


def _patience(found: Options) -> str:
    """process-compose gives up after the delay and so many failures: the same as one time."""

    def of(name: str, default: int) -> int:
        try:
            return max(0, integer(found[name].value)) if name in found else default
        except ValueError:
            return default

    period = of("period_seconds", 10) or 10
    return duration(of("initial_delay_seconds", 0) + period * (of("failure_threshold", 3) or 3))
