"""The likely cause of an end, read from its code and its last lines."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["diagnose_exit", "port_in_use"]

_IN_USE: Final = re.compile(r"[Aa]ddress already in use|EADDRINUSE|[Cc]onnection in use")
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (
        re.compile(r"(?:(?:ModuleNotFoundError|ImportError): |: (?=No module named ))(.+)"),
        "import error: {0}",
        "is it installed in the service's virtualenv, and is `cwd` right?",
    ),
    (
        _IN_USE,
        "its port is in use",
        'let Chapiteau hold the socket: [socket.NAME] and sockets = ["NAME"]',
    ),
    (
        re.compile(r"(?:PermissionError|[Pp]ermission denied)(.*)"),
        "permission denied{0}",
        "check `user`, and the owner of what it opens",
    ),
    (
        re.compile(r"(?:FileNotFoundError|No such file or directory)(.*)"),
        "a file is missing{0}",
        "paths in it start at the service's `cwd`",
    ),
    (re.compile(r"(SyntaxError|IndentationError|TabError)"), "{0} in its code", ""),
    (re.compile(r"MemoryError|[Cc]annot allocate memory"), "out of memory", ""),
    (re.compile(r"[Nn]o space left on device"), "the disk is full", "see `df -h`"),
    (re.compile(r"[Cc]onnection refused"), "A dependency refused the connection", ""),
)
# How a port stands in a complaint: ('127.0.0.1', 8000), 0.0.0.0:8000, :::8000, port 8000.
_IN_A_LINE: Final = re.compile(r"(?:[\])'\"\d*]:|[:'\"], ?|::|\bport[ :=]+)(\d{2,5})\b")
_TIME: Final = re.compile(r"\b\d\d:\d\d(?::\d\d)?\b")  # that looks like one, and is none
# … and on a command line: --port 8000, --port=8000, -p 8000, -b :8000, localhost:8000.
_ON_A_COMMAND: Final = re.compile(r"(?:port[ =]|-p ?|:)(\d{2,5})\b(?!:)")
_CODES: Final = {
    126: ("found, but it can't be executed", "chmod +x it, or name its interpreter"),
    127: ("command not found by the shell", "check PATH and the spelling"),
}


def diagnose_exit(
    code: int | None, signal: int | None, *, oom: bool, detached: bool, lines: Sequence[str]
) -> tuple[str, str]:
    """(cause, hint); empty when nothing can be said. The last matching line speaks."""
    if detached:
        return (
            "it put itself into the background (daemonised) and its first process ended",
            "start it in the foreground: `daemon off;`, --nodaemon, --foreground, -f …",
        )
    if oom:
        return "killed for want of memory", "raise limits.memory, or find the leak"
    for line in reversed(lines):
        for pattern, cause, hint in _PATTERNS:
            if match := pattern.search(line):
                detail = match[1].strip(" :") if match.groups() else ""
                shown = (
                    f": {detail}" if detail and not cause.startswith(("import", "{0}")) else detail
                )
                return cause.format(shown), hint
    if code in _CODES:
        return _CODES[code]
    if signal == 9:
        return "killed by somebody, or by the kernel for want of memory (see dmesg)", ""
    return "", ""


def port_in_use(lines: Sequence[str], command: str) -> int:
    """The port that a process found in use, as its last lines or its command line tell; 0: none."""
    if not (complaints := [_TIME.sub("", line) for line in lines if _IN_USE.search(line)]):
        return 0
    for pattern, texts in ((_IN_A_LINE, reversed(complaints)), (_ON_A_COMMAND, [command])):
        for text in texts:
            if match := pattern.search(text):
                return int(match[1])
    return 0
