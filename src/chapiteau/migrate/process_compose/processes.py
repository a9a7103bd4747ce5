"""The processes of a process-compose file: each a service, and how they wait for each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target
from chapiteau.migrate.process_compose.probes import (
    SIMPLE,
    convert_log_line,
    convert_probe,
    convert_watch,
)
from chapiteau.migrate.process_compose.rules import (
    AVAILABILITY,
    COMBINED,
    LOGGER,
    PROCESS,
    RESOLVED,
    ROTATION,
    SCHEDULE,
    SHUTDOWN,
)
from chapiteau.migrate.process_compose.variables import Filling, pairs, settled
from chapiteau.migrate.rules import apply_rules, keep, try_rule
from chapiteau.migrate.source import Option, Source
from chapiteau.migrate.values import needs_shell, text

__all__ = ["Processes"]

_CONDITIONS: Final = frozenset(
    "process_started process_healthy process_completed process_completed_successfully "
    "process_log_ready".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """All processes together: what they share, and how they wait for each other."""

    draft: Draft
    sources: Sequence[Source]
    shared: Mapping[str, Option]  # the top level
    shared_env: Mapping[str, Any]
    dotenv: frozenset[str]
    names: Mapping[str, str]  # process → service
    merged: Mapping[str, Mapping[str, Option]]  # process → its options

    def take(self, name: str) -> None:
        """One process becomes one service."""
        target, options = self.draft.table("service", self.names[name]), self.merged[name]
        target.set("stop_group", True)  # unless it says parent_only
        filling = self._filling(options)
        simple = [o for o in options.values() if o.name not in COMBINED]
        simple = [o for o in simple if not o.name.startswith("x-")]
        apply_rules(self._filled(target, simple, filling), PROCESS, target)
        self._environment(target, options, filling)
        self._command(target, options, filling)
        for key, rules in (
            ("availability", AVAILABILITY),
            ("shutdown", SHUTDOWN),
            ("schedule", SCHEDULE),
        ):
            if key in options and self._is_mapping(target, options[key]):
                apply_rules(self._filled(target, self._parts(options[key]), filling), rules, target)
        if "watch" in options and self._is_mapping(target, options["watch"]):
            convert_watch(target, self._filled(target, self._parts(options["watch"]), filling))
        self._defaults(target, options)
        self._checks(target, options, filling)
        self._logs(target, options, filling)

    def _filling(self, options: Mapping[str, Option]) -> Filling:
        known: dict[str, Any] = {}
        for source in (self.shared.get("vars"), options.get("vars")):
            if source and isinstance(source.value, Mapping):
                known |= source.value
        off = self.shared.get("disable_env_expansion")
        return Filling(vars=known, dotenv=self.dotenv, expand=not (off and off.value is True))

    def _filled(self, target: Target, options: list[Option], filling: Filling) -> list[Option]:
        made = []
        for option in options:
            value = option.value
            try:
                if isinstance(value, str):
                    value = filling.fill(value)
            except ValueError as exc:
                target.lost(option, str(exc), "write the value down")
                continue
            found = replace(option, value=value)
            made.append(settled(found, target) if option.name in RESOLVED else found)
        return made

    def _is_mapping(self, target: Target, option: Option) -> bool:
        if not isinstance(option.value, Mapping):
            target.lost(option, f"is no mapping: {option.value!r}", "set it by hand")
            return False
        return True

    def _parts(self, option: Option) -> list[Option]:
        if not isinstance(option.value, Mapping):
            return []
        return [
            Option(
                name=str(key),
                value=value,
                where=getattr(option.value, "where", {}).get(key) or self._place(option, str(key)),
                section=f"{option.title}.",
            )
            for key, value in option.value.items()
        ]

    def _place(self, option: Option, key: str) -> str:
        """The line of a key below an option: the first after it with that key in its file."""
        name, _, line = option.where.rpartition(":")
        for source in self.sources:
            tree = source.tree
            if source.name == name and tree and line.isdecimal():
                below = [n for p, n in tree.lines.items() if p and p[-1] == key and n >= int(line)]
                if below:
                    return source.where(min(below))
        return option.where

    # ── parts of one process ──────────────────────────────────────────────────────────────────
    def _environment(self, target: Target, options: Mapping[str, Option], filling: Filling) -> None:
        own = options.get("environment")
        if own and not isinstance(own.value, Mapping | list):
            target.lost(own, f"is neither a mapping nor a list: {own.value!r}", "set env by hand")
            own = None
        env = {**self.shared_env, **(pairs(own.value) if own else {})}
        for name, value in env.items():
            try:
                target.set_env(name, filling.fill(text(value)), own)
            except ValueError as exc:
                option = own or self.shared["environment"]
                target.lost(option, f"{name}: {exc}", "write the value down")
        if own:
            target.kept(own, "env")
        if "${process.number}" in str(target.get("env")):
            self._count_from_one(target, own or self.shared["environment"])
        off = options.get("is_dotenv_disabled")
        files = [".env"] if self.dotenv and not (off and off.value is True) else []
        if more := options.get("env_file"):
            listed = more.value if isinstance(more.value, list) else [more.value]
            files += [str(name) for name in listed]
            target.kept(more, "env_files")
        if files:
            target.set("env_files", files)

    def _count_from_one(self, target: Target, option: Option) -> None:
        target.changed(
            option,
            "PC_REPLICA_NUM became ${process.number}, which counts from 1 instead of 0",
            "let the program subtract 1 where that matters",
        )

    def _command(self, target: Target, options: Mapping[str, Option], filling: Filling) -> None:
        command, entrypoint = options.get("command"), options.get("entrypoint")
        option = command or entrypoint
        if option is None:
            return
        try:
            if command is None:
                words = [filling.fill(text(word)) for word in option.value]
                target.put(option, "command", words)
                return
            line = filling.fill(text(option.value).strip(), for_shell=True)
        except (ValueError, TypeError) as exc:
            target.lost(option, f"its value can't be used: {exc}", "set command by hand")
            return
        if "${process.number}" in line:
            self._count_from_one(target, option)
        try_rule(option, target, lambda: self._shell_line(target, option, line, options))
        if entrypoint:
            target.kept(entrypoint, "process-compose ignores it beside command")

    def _shell_line(
        self, target: Target, option: Option, line: str, options: Mapping[str, Option]
    ) -> None:
        own = options.get("shell") or self.shared.get("shell")
        shell = own.value if own and isinstance(own.value, Mapping) else {}
        program = text(shell.get("shell_command") or "bash")
        if SIMPLE.fullmatch(line) and not needs_shell(line):
            target.put(option, "command", line)
        else:
            argument = text(shell.get("shell_argument") or "-c")
            target.put(option, "command", [program, argument, line])
        if options.get("shell"):
            target.kept(options["shell"], "command")

    def _defaults(self, target: Target, options: Mapping[str, Option]) -> None:
        """process-compose's defaults that are not ours."""
        if target.get("restart.policy") is None:
            target.set("restart.policy", "never")
        availability = options.get("availability")
        inner = availability.value if availability else {}
        if isinstance(inner, Mapping) and inner.get("restart") == "exit_on_failure":
            target.set("essential", True)
            if availability and not inner.get("exit_on_end"):
                target.changed(
                    availability,
                    "exit_on_failure became essential = true, which ends everything when it ends "
                    "with success, too",
                    "one_shot = true for what has work to do and ends: then success is no end",
                )

    def _checks(self, target: Target, options: Mapping[str, Option], filling: Filling) -> None:
        def parts(option: Option) -> list[Option]:
            return self._filled(target, self._parts(option), filling)

        for name, key in (("readiness_probe", "ready"), ("liveness_probe", "live")):
            if name in options and self._is_mapping(target, options[name]):
                convert_probe(target, key, options[name], parts)
        if line := options.get("ready_log_line"):
            convert_log_line(target, line)

    def take_shared_logs(self) -> None:
        """The log of the whole project: [log]."""
        top = self.draft.table()
        if whole := self.shared.get("log_location"):
            top.lost(
                whole,
                "was one file for all processes",
                "each service has a file of its own; `chapiteau logs` shows them together",
            )
        setup = self.shared.get("log_configuration")
        if setup and self._is_mapping(top, setup):
            self._log_lines(top, setup)
            for rotation in (o for o in self._parts(setup) if o.name == "rotation"):
                apply_rules(self._parts(rotation), ROTATION, top)

    def _logs(self, target: Target, options: Mapping[str, Option], filling: Filling) -> None:
        setup = options.get("log_configuration")
        if setup and self._is_mapping(target, setup):
            self._log_lines(target, setup)
            for rotation in (o for o in self._parts(setup) if o.name == "rotation"):
                self._rotation(target, rotation)
        if place := options.get("log_location"):
            apply_rules(
                self._filled(target, [place], filling),
                {"log_location": keep("log.file", text)},
                target,
            )

    def _log_lines(self, target: Target, setup: Option) -> None:
        parts = self._parts(setup)
        apply_rules(parts, LOGGER, target)
        target.set("log.mode", "line")
        if not any(o.name == "disable_json" and o.value is True for o in parts):
            target.set("log.format", "json")

    def _rotation(self, target: Target, rotation: Option) -> None:
        apply_rules(self._parts(rotation), ROTATION, target)
        value = rotation.value if isinstance(rotation.value, Mapping) else {}
        folder, name = value.get("directory"), value.get("filename")
        if isinstance(name, str) and name:
            whole = f"{folder}/{name}" if isinstance(folder, str) and folder else name
            target.set("log.file", whole, rotation)

    # ── who waits for whom ────────────────────────────────────────────────────────────────────
    def wait_for_each_other(self) -> None:
        """depends_on of all: known only when every service is there."""
        for name, options in self.merged.items():
            depends = options.get("depends_on")
            target = self.draft.table("service", self.names[name])
            if depends is None or not self._is_mapping(target, depends):
                continue
            for option in self._parts(depends):
                try_rule(option, target, partial(self._condition, target, option))

    def _condition(self, target: Target, option: Option) -> None:
        value = option.value or {}
        if isinstance(value, Mapping):
            value = value.get("condition") or "process_started"
        condition = text(value)
        other = self.names.get(option.name)
        if other is None:
            target.lost(option, "waits for a process that is not there", "add it by hand")
            return
        if condition not in _CONDITIONS:
            target.lost(option, f"{condition!r} is no condition", "write needs or after")
            return
        key = "after" if condition == "process_started" else "needs"
        target.set(key, [*(target.get(key) or ()), other], option)
        service = self.draft.table("service", other)
        if condition in ("process_completed_successfully", "process_completed"):
            service.set("one_shot", True)
            if service.values.pop("ready", None):
                probe = self.merged[option.name].get("readiness_probe", option)
                what = "is left out: it is ready when it has ended with success, as others want it"
                service.changed(probe, what)
            if service.get("essential"):
                what = f"{other} ends everything only when it fails: others wait for its success"
                target.changed(option, what)
        if condition == "process_completed":
            target.lost(
                option,
                "waited for its end, with success or not",
                "a one-shot has to end with 0: end its command with `|| true`",
            )
        else:
            target.kept(option, key)
