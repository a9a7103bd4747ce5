"""The command of a PM2 app, and in how many processes it runs."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.pm2.rules import share_port
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import integer, text, words

__all__ = ["WITH_DEFAULT", "convert_command", "convert_instances", "escape_literals"]

_IN_COMMAND: Final = "part of command"
_OURS: Final = re.compile(r"\$\{env\.\w+(?::-[^${}]+)?\}")
WITH_DEFAULT: Final = re.compile(r"\$\{env\.(\w+):-([^${}]+)\}")
_NODE_VERSION: Final = re.compile(r"node@.+")
_INTERPRETERS: Final = {
    ".js": "node", ".cjs": "node", ".mjs": "node", ".py": "python", ".sh": "bash", ".rb": "ruby",
    ".php": "php", ".pl": "perl", ".ts": "bun", ".tsx": "bun", ".coffee": "coffee", ".ls": "lsc",
}  # fmt: skip


def convert_command(target: Target, sound: Mapping[str, Option]) -> None:
    """script, args, node_args and interpreter, as one line or, for bash, a list."""
    script = sound.get("script")
    if script is None:
        return
    try:
        words_of = {
            key: _words(sound[key].value) if key in sound else []
            for key in ("node_args", "args", "exec_interpreter")
        }
        command = _line(target, script, words_of)
    except ValueError as exc:
        target.lost(script, f"the command can't be put together: {exc}", "set command by hand")
        return
    target.put(script, "command", command)
    alone = not isinstance(command, str)
    what = "PM2 ignores it: script has spaces, so bash gets it alone" if alone else _IN_COMMAND
    for key in ("node_args", "args", "exec_interpreter"):
        if key in sound:
            target.kept(sound[key], what)


def _line(target: Target, script: Option, parts: Mapping[str, list[str]]) -> str | list[str]:
    program = text(script.value)
    if " " in program:
        return ["bash", "-c", escape_literals(program)]
    interpreter = parts["exec_interpreter"]
    if not interpreter:
        suffix = re.search(r"\.\w+$", program.rpartition("/")[2])
        known = _INTERPRETERS.get(suffix[0]) if suffix else None
        interpreter = [known] if known else []
        if not known and not suffix and "/" in program:
            target.changed(
                script,
                "is started directly; PM2 gives a text file without an ending to node",
                "write `node` before it if it is one",
            )
    if interpreter and _NODE_VERSION.fullmatch(interpreter[0]):
        what = f"is node, not {interpreter[0]}: PM2 takes a version from nvm"
        target.changed(script, what, "write the path of that version's node into command")
        interpreter = ["node", *interpreter[1:]]
    interpreter = [] if interpreter == ["none"] else interpreter
    return escape_literals(_join([*interpreter, *parts["node_args"], program, *parts["args"]]))


def _join(parts: Sequence[str]) -> str:
    """Words as one line; our own variables stay outside of quotes that would hide them."""
    return " ".join(part if _OURS.fullmatch(part) else shlex.quote(part) for part in parts)


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text(part) for part in value]
    return words(text(value))


def convert_instances(target: Target, sound: Mapping[str, Option], cpus: int) -> None:
    """instances, with what "max" means; without exec_mode they are a cluster of Node's."""
    option = sound.get("instances")
    if option is None:
        return
    word = text(option.value).strip()
    if chosen := WITH_DEFAULT.fullmatch(word):
        word = chosen[2]
        what = f"came from the variable {chosen[1]}; it is {word}, as where that is not set"
        target.changed(option, what, "set processes to what this server shall have")
    word = word.lower()
    count = 1
    with target.reading(option, "set processes by hand"):
        count = 0 if word == "max" else integer(word)
    if "exec_mode" not in sound and count != 1 and _runs_node(target):
        share_port(option, target)
    if count != 1 and "instance_var" not in sound:
        target.changed(
            option,
            "NODE_APP_INSTANCE numbered them from 0; CHAPITEAU_PROCESS does so from 1",
            "let a program that asks for the first one read CHAPITEAU_PROCESS",
        )
    if count > 0:
        target.put(option, "processes", count)
        return
    target.set("processes", max(1, cpus + count), option)
    target.changed(
        option,
        f"is the number of CPUs of this machine ({cpus}){f', {-count} fewer' if count else ''}",
        "set processes to that of the server, or use [service.NAME.scaling]",
    )


def _runs_node(target: Target) -> bool:
    command = target.get("command")
    first = command.split(None, 1)[0] if isinstance(command, str) and command else ""
    return first.rpartition("/")[2] in ("node", "bun")


def escape_literals(value: str) -> str:
    """Literal text, except for the variables that reading JavaScript has put in."""
    pieces, last = [], 0
    for match in _OURS.finditer(value):
        pieces += [literal(value[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*pieces, literal(value[last:])])
