"""[watcher:NAME] with its environment, its sockets and its place in the start order."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chapiteau.core.problems import did_you_mean
from chapiteau.migrate.circus.rules import TABLES, VARIABLE, env_of, fill_env, rotation_unit
from chapiteau.migrate.draft import Draft, Target, Template, literal
from chapiteau.migrate.finish import note_priority, start_in_order
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, integer, octal, one_line

__all__ = ["convert_watcher", "order_watchers"]

_SHELL_VARIABLE: Final = re.compile(r"\$([A-Z]+[A-Z0-9_]*)")  # what Circus fills in env values
_SHELL_SIGNS: Final = re.compile(r"[|&;<>$`*?~]")


def convert_watcher(
    draft: Draft, section: Section, daemon: Section, sections: Sequence[Section]
) -> Target:
    """One watcher becomes one service."""
    target = draft.named("service", section.named(section.name.split(":", 1)[1]))
    _environment(target, section, sections)
    _command(target, section, sections)
    simple = []
    for option in section.options:
        rule = TABLES["watcher"].get(option.name)
        meant = option.name.startswith(("rlimit_", "std", "flapping.")) or (rule and rule.combined)
        if option.value == "" and not meant:
            target.kept(option, "is empty: the default holds")
        else:
            simple.append(option)
    apply_rules(simple, TABLES["watcher"], target)
    _streams(target, section)
    _closed_outputs(target, section)
    target.defaults({"stop_timeout": "30s"})  # Circus's
    if target.get("max_age"):
        target.defaults({"max_age_spread": "30s"})
    else:
        target.values.pop("max_age_spread", None)
    umask = daemon.get("umask")
    if umask and umask.value:
        with target.reading(umask, "set umask by hand"):
            target.set("umask", octal(umask.value), umask)
    return target


# ── environment ───────────────────────────────────────────────────────────────────────────────
def _environment(target: Target, section: Section, sections: Sequence[Section]) -> None:
    copied = section.get("copy_env")
    if copied and target.is_on(copied):
        target.kept(copied, "the environment is inherited")
    else:
        target.set("clean_env", True, copied)
        if copied:
            target.kept(copied, f"clean_env in {target.title}")
    for option in env_of(section.label, sections):
        value = literal(str(option.value).strip())
        filled = fill_env(_SHELL_VARIABLE.sub(r"${env.\1}", value), {})
        target.set_env(option.name, filled, option)
        target.kept(option, "env of the services that it is for")
        if "$(circus." in value.lower():
            target.changed(
                option,
                "Circus fills in only $NAME here and leaves $(circus.env.NAME) as it is; "
                "it is filled in now",
            )


# ── command ───────────────────────────────────────────────────────────────────────────────────
def _command(target: Target, section: Section, sections: Sequence[Section]) -> None:
    cmd, args, shell = section.get("cmd"), section.get("args"), section.get("shell")
    if cmd is None:
        if args:
            target.lost(args, "are arguments of no command", "set command by hand")
        return
    # Parts in which variables are filled in already stay as they are.
    whole = Template(" ".join(literal(part.value) for part in (cmd, args) if part and part.value))
    known = [s.label.lower() for s in sections if s.kind == "socket"]
    try:
        text = one_line(_fill(target, section, cmd, whole, known))
    except ValueError as exc:
        target.lost(cmd, str(exc), "close the quote, then import again")
        return
    target.put(cmd, "command", text)
    if args:
        target.kept(args, "the end of command")
    _sockets(target, section, cmd, [n for n in _used_sockets(whole) if n in known], known)
    if shell and target.is_on(shell):
        # Circus quotes each word before its shell sees it, so the shell never did anything.
        plain = ", and the signs in this command were plain text"
        target.changed(
            shell,
            "is left out: Circus quotes every word for the shell, so that nothing is ever expanded"
            + (plain if _SHELL_SIGNS.search(text) else ""),
            "set shell = true to have pipes, redirections and variables work",
        )
    elif shell:
        target.kept(shell, "no shell is used")


def _fill(
    target: Target, section: Section, option: Option, text: str, sockets: Sequence[str]
) -> str:
    """Circus's variables as ours; what can't be known stays as it is and is reported."""

    def one(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).lower()
        kind, _, rest = name.partition(".")
        if kind == "sockets" and rest in sockets:
            return f"${{socket.{rest}.fd}}"
        if name == "wid":
            return "${process.number}"
        known = section.get(name)
        if known is not None:
            return literal(known.value)
        near = f"{did_you_mean(rest, sockets)}; " if kind == "sockets" else ""
        target.lost(
            option,
            f"{match[0]} has no value here, and stays as it is in the command",
            f"{near}put the value into the command by hand",
        )
        return match[0]

    return VARIABLE.sub(one, text).replace("$WID", "${process.number}")


def _used_sockets(text: str) -> list[str]:
    names = [(m[1] or m[2]).lower() for m in VARIABLE.finditer(text)]
    return [n.partition(".")[2] for n in dict.fromkeys(names) if n.startswith("sockets.")]


def _sockets(
    target: Target, section: Section, cmd: Option, used: Sequence[str], known: Sequence[str]
) -> None:
    option = section.get("use_sockets")
    use = option is not None and target.is_on(option)
    names = used
    if use and option:
        target.kept(option, "sockets: those that the command names" if used else "sockets")
        if not used and not section.get("stdin_socket"):
            names = known
    else:
        if option:
            target.kept(option, "no sockets are passed on")
        if used:
            what = "names sockets without use_sockets, so the descriptors were closed: now open"
            target.changed(cmd, what)
    if names:
        target.set("sockets", list(names), option or cmd)


# ── output ────────────────────────────────────────────────────────────────────────────────────
def _closed_outputs(target: Target, section: Section) -> None:
    found = [section.get(name) for name in ("close_child_stdout", "close_child_stderr")]
    closed = [option for option in found if option and target.is_on(option)]
    for option in (option for option in found if option):
        if option not in closed:
            target.kept(option, "output is captured")
        elif len(closed) == 2:
            target.put(option, "log.file", "none")
        else:
            target.lost(
                option,
                "discarded one of the two streams; both go to one file here",
                "redirect it in the command: shell = true and 2>/dev/null",
            )


def _streams(target: Target, section: Section) -> None:
    """stdout_stream.* and stderr_stream.*: both go to one file; a second file is lost."""
    first, second = (_parts(section, name) for name in ("stdout_stream", "stderr_stream"))
    if not first:
        first, second = second, {}
    apply_rules(first.values(), TABLES["stream"], target)
    interval, when = first.get("rotate_interval"), first.get("rotate_when")
    if interval and when and target.get("log.max_age"):
        with target.reading(interval, "set log.max_age by hand"):
            age = rotation_unit(when.value) * integer(interval.value)
            target.set("log.max_age", duration(age), when)
    if "filename" in first:
        _bound(target, first)
    for name, option in second.items():
        if name in first and first[name].value == option.value:
            target.kept(option, "the same for both streams")
        else:
            target.lost(
                option,
                "was for the error stream alone; both streams go to one file",
                "JSON lines (log.format) tell the streams apart",
            )


def _parts(section: Section, stream: str) -> dict[str, Option]:
    found = {}
    for option in section.options:
        kind, _, name = option.name.partition(".")
        if kind == stream:
            title = f"{option.section} {stream}.".strip()
            found[name or "class"] = replace(option, name=name or "class", section=title)
    return found


def _bound(target: Target, stream: dict[str, Option]) -> None:
    """Circus lets a file grow for ever by default; here every file is bounded."""
    if target.get("log.max_size") in ("0", 0):
        target.values["log"].pop("max_size")
    bounds = [stream[name] for name in ("max_bytes", "rotate_when") if name in stream]
    if all(option.value == "0" for option in bounds):
        target.changed(
            stream["filename"],
            "Circus lets this file grow without end; it is rotated at 50MiB, five old ones stay",
            "see log.max_size, log.keep and log.max_total",
        )


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def order_watchers(services: Sequence[tuple[Target, Section]]) -> None:
    """Higher priority starts first and stops last."""
    ranks = []
    for target, section in services:
        rank, option = 0, section.get("priority")
        if option is not None:
            with target.reading(option, "set `after` by hand"):
                rank = integer(option.value)
        ranks.append((target, -rank))
    different = start_in_order(ranks)
    for target, section in services:
        if (option := section.get("priority")) is None:
            continue
        order = (
            "services of a lower priority start after those of the next higher one, and stop "
            "before them"
        )
        note_priority(target, option, order, different=different)
