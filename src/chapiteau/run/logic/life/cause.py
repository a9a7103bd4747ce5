"""The likely cause of an end, read from its code and its last lines."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["likely_cause"]

_PATTERNS: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (
        re.compile(r"(?:ModuleNotFoundError|ImportError): (.+)"),
        "import error: {0}",
        "is it installed in the service's virtualenv, and is `cwd` right?",
    ),
    (
        re.compile(r"[Aa]ddress already in use|EADDRINUSE"),
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
    (re.compile(r"[Cc]onnection refused"), "something it needs refused the connection", ""),
)
_CODES: Final = {
    126: ("found, but it can't be executed", "chmod +x it, or name its interpreter"),
    127: ("command not found by the shell", "check PATH and the spelling"),
}


def likely_cause(
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
