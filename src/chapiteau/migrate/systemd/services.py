"""[Service] of one unit → one service, with a one-shot for each ExecStartPre."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.source import Option
from chapiteau.migrate.systemd.commands import (
    Exec,
    command_line,
    convert_hook,
    fill,
    parse_timespan,
    read_exec,
    specifiers,
    split_words,
)
from chapiteau.migrate.systemd.limits import convert_capabilities
from chapiteau.migrate.systemd.rules import COMBINED
from chapiteau.migrate.systemd.unit_rules import SECTIONS, rule_for
from chapiteau.migrate.values import duration, signal_name

__all__ = ["apply_rules", "convert_service", "fill_specifiers", "last_wins"]

_KILL: Final = re.compile(r"(?:/usr)?/bin/kill|kill")
_SHARED: Final = (
    "cwd", "env", "env_files", "clean_env", "user", "group", "umask", "nice", "no_new_privs",
    "capabilities", "limits",
)  # fmt: skip


def apply_rules(options: Sequence[Option], target: Target, which: str) -> None:
    """Give each directive of a section to its rule; what has none is reported as lost."""
    rules = SECTIONS[which]
    for option in (o for o in options if o.name):
        rule = rule_for(option.name, rules)
        if rule is None:
            target.lost(option, "is no directive that is known here", "set by hand what you need")
            continue
        try:
            rule(option, target)
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", "set it by hand")


def last_wins(
    options: Sequence[Option], target: Target, lists: frozenset[str] = frozenset()
) -> list[Option]:
    """As systemd reads repeated directives: lists grow, an empty value empties, else the last."""
    kept: list[Option] = []
    for option in options:
        if option.value == "" or not (option.name in lists or _grows(option.name)):
            for before in [o for o in kept if o.name == option.name]:
                kept.remove(before)
                target.kept(before, f"is overruled by {option.where}")
        if option.value != "" or option.name in _EMPTY_SAYS_SOMETHING:
            kept.append(option)
    return kept


def _grows(name: str) -> bool:
    return name in _MORE_LISTS or name.startswith(("Condition", "Assert"))


_LISTS: Final = frozenset(
    "ExecStart ExecStartPre ExecStartPost ExecReload ExecStop ExecStopPost ExecCondition "
    "Environment EnvironmentFile PassEnvironment UnsetEnvironment Sockets SupplementaryGroups "
    "SuccessExitStatus RestartPreventExitStatus RestartForceExitStatus".split()
)

_MORE_LISTS: Final = frozenset(
    "Documentation OnFailure OnSuccess RequiresMountsFor WantsMountsFor JoinsNamespaceOf "
    "PropagatesReloadTo ReloadPropagatedFrom PropagatesStopTo StopPropagatedFrom "
    "CapabilityBoundingSet AmbientCapabilities OpenFile LogExtraFields LogFilterPatterns "
    "RuntimeDirectory StateDirectory CacheDirectory LogsDirectory ConfigurationDirectory "
    "ReadWritePaths ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths TemporaryFileSystem "
    "BindPaths BindReadOnlyPaths MountImages ExtensionImages ExtensionDirectories "
    "SystemCallFilter SystemCallLog SystemCallArchitectures RestrictAddressFamilies "
    "RestrictNamespaces RestrictFileSystems RestrictNetworkInterfaces DeviceAllow "
    "IPAddressAllow IPAddressDeny SocketBindAllow SocketBindDeny StandardInputText "
    "StandardInputData LoadCredential LoadCredentialEncrypted SetCredential "
    "SetCredentialEncrypted ImportCredential".split()
)
_EMPTY_SAYS_SOMETHING: Final = frozenset({"CapabilityBoundingSet"})  # none at all, not the default


# A command beside the service → the hook that runs at that point.
_HOOKS: Final = {
    "ExecStartPost": "after_start",
    "ExecStop": "before_stop",
    "ExecStopPost": "after_reap",
}


def convert_service(draft: Draft, target: Target, unit: str, options: Sequence[Option]) -> None:
    """One [Service] section."""
    sound = fill_specifiers(last_wins(options, target, _LISTS), unit, target)
    simple = [o for o in sound if o.name not in COMBINED]
    _defaults(target)
    _timeouts(target, sound)
    apply_rules(simple, target, "Service")
    convert_capabilities(target, sound)
    _restart_limits(target)
    env = _environment(target, sound)
    if target.get("env_files"):
        env = {}  # a file may say otherwise: a shell fills in what holds then
    _start(target, [o for o in sound if o.name == "ExecStart"], env)
    _reload(target, [o for o in sound if o.name == "ExecReload"])
    _before(draft, target, [o for o in sound if o.name == "ExecStartPre"], env)
    for name, hook in _HOOKS.items():
        convert_hook(target, hook, [o for o in sound if o.name == name], env)


def fill_specifiers(options: Sequence[Option], unit: str, target: Target) -> list[Option]:
    """The directives with their specifiers filled in; what can't be filled in is lost."""
    known = specifiers(unit)
    made = []
    for option in options:
        try:
            value = fill(str(option.value), known)
        except ValueError as exc:
            hint = "give the file its instance's name (web@blue.service), or write the value down"
            target.lost(option, f"its value can't be used: {exc}", hint)
            continue
        made.append(
            Option(name=option.name, value=value, where=option.where, section=option.section)
        )
    return made


def _defaults(target: Target) -> None:
    """systemd's defaults that are not ours."""
    target.set("cwd", "/")
    target.set("clean_env", True)
    target.set("umask", "0022")
    target.set("no_new_privs", False)
    target.set("stop_group", True)
    target.set("stop_timeout", "90s")
    target.set("restart.policy", "never")


def _restart_limits(target: Target) -> None:
    restart = target.values["restart"]
    if restart["policy"] == "never":
        target.values["restart"] = {
            key: value
            for key, value in restart.items()
            if key in ("policy", "success_codes", "stop_codes")
        }
        return
    restart.setdefault("attempts", 5)
    restart.setdefault("window", "10s")
    restart.setdefault("after_give_up", "stay-down")
    if target.get("ready.notify") and target.get("ready.start_timeout") is None:
        target.set("ready.start_timeout", "90s")


def _timeouts(target: Target, options: Sequence[Option]) -> None:
    """TimeoutSec= is both; what is written after it may change one of them again."""
    for option in options:
        if option.name != "TimeoutSec":
            continue
        try:
            value = parse_timespan(str(option.value))
            for key in ("ready.start_timeout", "stop_timeout"):
                target.set(key, duration(value) if value != float("inf") else "1d", option)
            target.kept(option, "stop_timeout and ready.start_timeout")
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", "set stop_timeout by hand")


# ── environment ───────────────────────────────────────────────────────────────────────────────
def _environment(target: Target, options: Sequence[Option]) -> dict[str, str]:
    env: dict[str, str] = {}
    for option in options:
        try:
            if option.name == "Environment":
                pairs = [word.partition("=") for word in split_words(str(option.value))]
                env |= {name: value for name, equals, value in pairs if equals}
                target.kept(option, "env")
            elif option.name == "PassEnvironment":
                for name in split_words(str(option.value)):
                    target.set_env(name, f"${{env.{name}}}", option)
                target.changed(option, "must be set where the supervisor is started")
            elif option.name == "EnvironmentFile":
                _env_file(target, option)
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", "set env by hand")
    for name, value in env.items():
        target.set_env(name, _ours(value))
    return env


def _env_file(target: Target, option: Option) -> None:
    path = str(option.value).strip()
    target.kept(option, "env_files")
    target.set("env_files", [*(target.get("env_files") or ()), literal(path)], option)


def _ours(value: str) -> str:
    return re.sub(r"\$\{(?!host\.name\})[^{}]*\}", lambda m: "$" + m[0], value)


# ── commands ──────────────────────────────────────────────────────────────────────────────────
def _start(target: Target, options: Sequence[Option], env: Mapping[str, str]) -> None:
    commands: list[tuple[Option, Exec]] = []
    for option in options:
        try:
            commands.append((option, read_exec(str(option.value))))
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", "set command by hand")
    if not commands:
        return
    if len(commands) == 1:
        _command(target, *commands[0], env)
        return
    lines = [command_line(command, env) for _, command in commands]
    target.set("command", " && ".join(line.removeprefix("exec ") for line, _ in lines))
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
        target.changed(
            option, "its failure counted as success", "restart.success_codes lists exit codes"
        )
    if command.privileged:
        target.lost(option, "ran with full rights", 'make it a service with user = "root"')
    if command.renamed:
        target.lost(option, "was shown under another name", "use the program's own option")


def _reload(target: Target, options: Sequence[Option]) -> None:
    for option in options:
        signal = _signal_sent(str(option.value))
        if signal:
            target.put(option, "reload_signal", signal)
        else:
            target.lost(
                option,
                "was a command that makes it reload",
                "a reload replaces the processes; reload_signal sends a signal instead",
            )


def _signal_sent(text: str) -> str:
    """HUP for `/bin/kill -HUP $MAINPID`; empty for any other command."""
    try:
        words = list(read_exec(text).words)
    except ValueError:
        return ""
    if len(words) < 3 or not _KILL.fullmatch(words[0]) or words[-1].strip("${}") != "MAINPID":
        return ""
    given = words[1:-1]
    word = given[1] if given[0] in ("-s", "--signal") and len(given) > 1 else given[0].lstrip("-")
    try:
        return signal_name(word)
    except ValueError:
        return ""


def _before(
    draft: Draft, target: Target, options: Sequence[Option], env: Mapping[str, str]
) -> None:
    previous = ""
    for option in options:
        try:
            command = read_exec(str(option.value))
        except ValueError as exc:
            target.lost(option, f"its value can't be used: {exc}", "add a one-shot by hand")
            continue
        name = Option(
            name=option.name,
            value=f"{target.name}-pre",
            where=option.where,
            section=option.section,
        )
        one_shot = draft.table("service", draft.fresh_name("service", str(name.value)))
        draft.origins[one_shot.path] = name
        one_shot.values |= {key: target.values[key] for key in _SHARED if key in target.values}
        one_shot.set("one_shot", True)
        one_shot.set("restart.policy", "never")
        _command(one_shot, option, command, env)
        if command.privileged:
            one_shot.values.pop("user", None)
        if previous:
            one_shot.set("needs", [previous])
        key = "after" if command.may_fail else "needs"
        target.set(key, [*(target.get(key) or ()), one_shot.name], option)
        target.changed(
            option,
            f"became the one-shot {one_shot.name!r}: it runs once, not before each restart",
            "make it part of the command if it must run before each",
        )
        previous = "" if command.may_fail else one_shot.name
