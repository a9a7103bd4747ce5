"""[Service] of one unit → one service, with a one-shot for each ExecStartPre."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import Option
from chapiteau.migrate.systemd.commands import (
    Exec,
    command_line,
    fill,
    parse_timespan,
    read_exec,
    specifiers,
    split_words,
)
from chapiteau.migrate.systemd.rules import TABLES
from chapiteau.migrate.values import duration, signal_name, text

__all__ = ["convert_service", "fill_specifiers", "last_wins"]

_KILL: Final = re.compile(r"(?:/usr)?/bin/kill|kill")
_SHARED: Final = (
    "cwd", "env", "env_files", "clean_env", "user", "group", "umask", "nice", "no_new_privs",
    "capabilities", "limits",
)  # fmt: skip
# systemd's defaults that are not ours
_DEFAULTS: Final = {
    "cwd": "/",
    "clean_env": True,
    "umask": "0022",
    "no_new_privs": False,
    "stop_group": True,
    "stop_timeout": "90s",
    "restart.policy": "never",
}
# A command beside the service → the hook that runs at that point.
_HOOKS: Final = {
    "ExecStartPost": ("after_start", "runs when all processes are ready"),
    "ExecStop": ("before_stop", "the processes get the stop signal afterwards"),
    "ExecStopPost": ("after_reap", "runs after the end of each process"),
}
# Directives that may be given several times; an empty one forgets those before it.
_LISTS: Final = re.compile(
    r"Exec(?:Start|StartPre|StartPost|Reload|Stop|StopPost|Condition|Paths)|(?:Condition|Assert).*"
    r"|(?:Pass|Unset)?Environment|EnvironmentFile|Sockets|SupplementaryGroups|OpenFile"
    r"|(?:Success|RestartPrevent|RestartForce)ExitStatus|Documentation|On(?:Failure|Success)"
    r"|(?:Requires|Wants)MountsFor|JoinsNamespaceOf|(?:Propagates|PropagatedFrom)(?:Reload|Stop)To"
    r"|(?:Reload|Stop)PropagatedFrom|CapabilityBoundingSet|AmbientCapabilities|Log(?:Extra|Filter)\w+"
    r"|(?:Runtime|State|Cache|Logs|Configuration)Directory|(?:ReadWrite|ReadOnly|Inaccessible)Paths"
    r"|NoExecPaths|TemporaryFileSystem|Bind(?:ReadOnly)?Paths|(?:Mount|Extension)Images"
    r"|ExtensionDirectories|SystemCall(?:Filter|Log|Architectures)|DeviceAllow"
    r"|Restrict(?:AddressFamilies|Namespaces|FileSystems|NetworkInterfaces)"
    r"|(?:IPAddress|SocketBind)(?:Allow|Deny)|StandardInput(?:Text|Data)|\w+Credential(?:Encrypted)?"
)


def last_wins(options: Sequence[Option], target: Target) -> list[Option]:
    """As systemd reads repeated directives: lists grow, an empty value empties, else the last."""
    kept: list[Option] = []
    for option in options:
        if option.value == "" or not _LISTS.fullmatch(option.name):
            for before in [o for o in kept if o.name == option.name]:
                kept.remove(before)
                target.kept(before, f"is overruled by {option.where}")
        # An empty bounding set is none at all, not the default.
        if option.value != "" or option.name == "CapabilityBoundingSet":
            kept.append(option)
    return kept


def fill_specifiers(options: Sequence[Option], unit: str, target: Target) -> list[Option]:
    """The directives with their specifiers filled in; what can't be filled in is lost."""
    known = specifiers(unit)
    hint = "give the file its instance's name (web@blue.service), or write the value down"
    made = []
    for option in options:
        with target.reading(option, hint):
            made.append(replace(option, value=fill(str(option.value), known)))
    return made


def convert_service(draft: Draft, target: Target, unit: str, options: Sequence[Option]) -> None:
    """One [Service] section."""
    sound = fill_specifiers(last_wins(options, target), unit, target)
    target.defaults(_DEFAULTS)
    for option in (o for o in sound if o.name == "TimeoutSec"):
        # What is written after it may change one of them again.
        with target.reading(option, "set stop_timeout by hand"):
            value = parse_timespan(str(option.value))
            for key in ("ready.start_timeout", "stop_timeout"):
                target.set(key, "1d" if value == inf else duration(value), option)
            target.kept(option, "stop_timeout and ready.start_timeout")
    apply_rules([o for o in sound if o.name], TABLES["Service"], target)
    _capabilities(target, sound)
    _restart_limits(target)
    env = _environment(target, sound)
    if target.get("env_files"):
        env = {}  # a file may say otherwise: a shell fills in what holds then
    _start(target, [o for o in sound if o.name == "ExecStart"], env)
    for option in (o for o in sound if o.name == "ExecReload"):
        if signal := _signal_sent(str(option.value)):
            target.put(option, "reload_signal", signal)
        else:
            hint = "a reload replaces the processes; reload_signal sends a signal instead"
            target.lost(option, "was a command that makes it reload", hint)
    _before(draft, target, [o for o in sound if o.name == "ExecStartPre"], env)
    for name in _HOOKS:
        _hook(target, name, [o for o in sound if o.name == name], env)


def _restart_limits(target: Target) -> None:
    restart = target.values["restart"]
    if restart["policy"] == "never":
        keys = ("policy", "success_codes", "stop_codes")
        target.values["restart"] = {k: v for k, v in restart.items() if k in keys}
        return
    for key, value in (("attempts", 5), ("window", "10s"), ("after_give_up", "stay-down")):
        restart.setdefault(key, value)
    if target.get("ready.notify"):
        target.defaults({"ready.start_timeout": "90s"})


# ── rights ────────────────────────────────────────────────────────────────────────────────────
def _capabilities(target: Target, options: Sequence[Option]) -> None:
    """CapabilityBoundingSet and AmbientCapabilities hang together.

    To root the bounding set is what it may do. Any other user has no capability, but for the
    ambient ones; its bounding set only limits the programs that give themselves more (setuid).
    """
    root = target.get("user") in (None, "root", "0")
    for option in options:
        if option.name == ("CapabilityBoundingSet" if root else "AmbientCapabilities"):
            _add_capabilities(target, option)
    for option in options:
        if option.name == "AmbientCapabilities" and root:
            target.lost(
                option,
                "gave rights to a user that is not root",
                "capabilities keeps them for the user; a low port is better a [socket.NAME]",
            )
        elif option.name == "CapabilityBoundingSet" and not root:
            if not split_words(text(option.value)):
                target.kept(option, "a user that is not root has none")
                continue
            target.changed(
                option,
                "limited what a setuid program may gain: it gains no more than the service has",
                "capabilities gives some to the service's user",
            )


def _add_capabilities(target: Target, option: Option) -> None:
    with target.reading(option, "set capabilities by hand"):
        words = split_words(text(option.value))
        if words and words[0].startswith("~"):
            hint = "capabilities lists those that stay"
            target.lost(option, "took single capabilities away", hint)
            return
        target.add("capabilities", [w.lower().removeprefix("cap_") for w in words], option)
        target.kept(option, f"capabilities in {target.title}")


# ── environment ───────────────────────────────────────────────────────────────────────────────
def _environment(target: Target, options: Sequence[Option]) -> dict[str, str]:
    env: dict[str, str] = {}
    for option in options:
        with target.reading(option, "set env by hand"):
            if option.name == "Environment":
                pairs = [word.partition("=") for word in split_words(str(option.value))]
                env |= {name: value for name, equals, value in pairs if equals}
                target.kept(option, "env")
            elif option.name == "PassEnvironment":
                for name in split_words(str(option.value)):
                    target.set_env(name, f"${{env.{name}}}", option)
                target.changed(option, "must be set where the supervisor is started")
            elif option.name == "EnvironmentFile":
                target.kept(option, "env_files")
                target.add("env_files", [literal(str(option.value).strip())], option)
    for name, value in env.items():
        ours = re.sub(r"\$\{(?!host\.name\})[^{}]*\}", lambda m: "$" + m[0], value)
        target.set_env(name, ours)
    return env


# ── commands ──────────────────────────────────────────────────────────────────────────────────
def _start(target: Target, options: Sequence[Option], env: Mapping[str, str]) -> None:
    commands: list[tuple[Option, Exec]] = []
    for option in options:
        with target.reading(option, "set command by hand"):
            commands.append((option, read_exec(str(option.value))))
    if len(commands) == 1:
        _command(target, *commands[0], env)
    elif commands:
        lines = [command_line(command, env)[0] for _, command in commands]
        target.set("command", " && ".join(line.removeprefix("exec ") for line in lines))
        target.set("shell", True)
        for option, _ in commands:
            target.kept(option, "command: one after the other")


def _command(target: Target, option: Option, command: Exec, env: Mapping[str, str]) -> None:
    line, needs_shell = command_line(command, env)
    target.put(option, "command", line)
    if needs_shell:
        target.set("shell", True)
        target.changed(option, "a shell fills in the variables that come from EnvironmentFile=")
    if command.may_fail:
        hint = "restart.success_codes lists exit codes"
        target.changed(option, "its failure counted as success", hint)
    if command.privileged:
        target.lost(option, "ran with full rights", 'make it a service with user = "root"')
    if command.renamed:
        target.lost(option, "was shown under another name", "use the program's own option")


def _signal_sent(line: str) -> str:
    """HUP for `/bin/kill -HUP $MAINPID`; empty for any other command."""
    try:
        words = read_exec(line).words
        if len(words) < 3 or not _KILL.fullmatch(words[0]) or words[-1].strip("${}") != "MAINPID":
            return ""
        given = words[1:-1]
        named = given[0] in ("-s", "--signal") and len(given) > 1
        return signal_name(given[1] if named else given[0].lstrip("-"))
    except ValueError:
        return ""


def _before(
    draft: Draft, target: Target, options: Sequence[Option], env: Mapping[str, str]
) -> None:
    previous = ""
    for option in options:
        with target.reading(option, "add a one-shot by hand"):
            command = read_exec(str(option.value))
            one_shot = draft.fresh("service", replace(option, value=f"{target.name}-pre"))
            one_shot.values |= {key: target.values[key] for key in _SHARED if key in target.values}
            one_shot.set("one_shot", True)
            one_shot.set("restart.policy", "never")
            _command(one_shot, option, command, env)
            if command.privileged:
                one_shot.values.pop("user", None)
            if previous:
                one_shot.set("needs", [previous])
            target.add("after" if command.may_fail else "needs", [one_shot.name], option)
            target.changed(
                option,
                f"became the one-shot {one_shot.name!r}: it runs once, not before each restart",
                "make it part of the command if it must run before each",
            )
            previous = "" if command.may_fail else one_shot.name


def _hook(target: Target, name: str, options: Sequence[Option], env: Mapping[str, str]) -> None:
    """The commands of one point of a unit's life, one after the other."""
    point, when = _HOOKS[name]
    lines = []
    for option in options:
        with target.reading(option, f"set hooks.{point} by hand"):
            lines.append(_hook_line(option, env))
            target.changed(option, f"became hooks.{point}: it has 90 s, and {when}")
    if lines:
        run = ["sh", "-c", " && ".join(lines)]
        target.set(f"hooks.{point}", {"run": run, "timeout": "90s"}, options[0])


def _hook_line(option: Option, env: Mapping[str, str]) -> str:
    command = read_exec(str(option.value))
    if any("MAINPID" in word for word in command.words):
        raise ValueError("a hook knows no $MAINPID")
    if command.privileged:
        raise ValueError("a hook runs as the service's user")
    line = command_line(command, env)[0].removeprefix("exec ")
    return f"{{ {line} || true; }}" if command.may_fail else line
