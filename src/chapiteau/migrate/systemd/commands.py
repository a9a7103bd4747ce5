"""Command lines, words and times as systemd reads them (systemd.service(5), systemd.time(7))."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chapiteau.migrate.values import exec_line

__all__ = [
    "Exec",
    "command_line",
    "fill",
    "parse_size",
    "parse_timespan",
    "read_exec",
    "specifiers",
    "split_words",
]

_UNITS: Final = {
    "usec us µs": 1e-6, "msec ms": 1e-3, "": 1.0, "seconds second sec s": 1.0,
    "minutes minute min m": 60.0, "hours hour hr h": 3600.0, "days day d": 86400.0,
    "weeks week w": 604800.0, "months month M": 2629800.0, "years year y": 31557600.0,
}  # fmt: skip
_SECONDS: Final = {unit: value for units, value in _UNITS.items() for unit in units.split() or [""]}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Zµ]*)\s*")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)B?")
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_LETTERS: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
# Quotes may begin and end within a word: --level="INFO".
_PIECE: Final = r"""\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?:[^\s\\"']|\\.)+"""
_WORD: Final = re.compile(rf"\s*((?:{_PIECE})+)", re.DOTALL)
_PIECES: Final = re.compile(_PIECE, re.DOTALL)
_PREFIX: Final = re.compile(r"[-@:+!|]*")
_SPECIFIER: Final = re.compile(r"%(.)")
_WHOLE: Final = re.compile(r"\$([A-Za-z_]\w*)")
_VARIABLE: Final = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")


def parse_timespan(text: str) -> float:
    """Seconds in "1min 30s", "90", "500ms"; infinity is infinite. Raises ValueError."""
    compact = text.strip()
    if compact == "infinity":
        return float("inf")
    parts = _SPAN.findall(compact)
    if not parts or _SPAN.sub("", compact) or any(unit not in _SECONDS for _, unit in parts):
        raise ValueError(f"{text!r} is not a time span")
    return round(sum(float(count) * _SECONDS[unit] for count, unit in parts), 6)


def parse_size(text: str) -> int:
    """Bytes in "512M", "2G", "1024". Raises ValueError for "infinity" and shares in %."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size in bytes")
    power = "KMGTPE".index(match[2]) + 1 if match[2] else 0
    return round(float(match[1]) * (1 << 10 * power))


def split_words(text: str) -> list[str]:
    """Words with systemd's quotes and C-style escapes. Raises ValueError (an open quote)."""
    words, at = [], 0
    stripped = text.strip()
    while at < len(stripped):
        match = _WORD.match(stripped, at)
        if match is None:
            raise ValueError(f"{text!r} has a quote that is not closed")
        words.append("".join(_unescape(_unquoted(piece)) for piece in _PIECES.findall(match[1])))
        at = match.end()
    return words


def _unquoted(piece: str) -> str:
    return piece[1:-1] if piece[0] in "\"'" else piece


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if digits := match[1] or match[3] or match[4]:
            point = int(digits, 16)
            return chr(point) if 0 < point < 0x110000 and not 0xD800 <= point < 0xE000 else "\ufffd"
        if match[2]:
            return chr(int(match[2], 8) & 0xFF)
        return _LETTERS.get(match[5], match[0])  # what it does not know stays as it is

    return _ESCAPE.sub(one, text)


def specifiers(unit: str) -> dict[str, str]:
    """What `%i` and its kin mean in a unit; those that only a running machine knows are missing."""
    name = unit.rpartition(".")[0]
    prefix, _, instance = name.partition("@")
    last = prefix.rpartition("-")[2]
    known = {
        "n": unit, "N": name, "p": prefix, "P": _path(prefix), "j": last, "J": _path(last),
        "%": "%", "H": "${host.name}", "t": "/run", "S": "/var/lib", "C": "/var/cache",
        "L": "/var/log", "E": "/etc", "T": "/tmp", "V": "/var/tmp",  # noqa: S108 — systemd's own
        "u": "root", "U": "0", "g": "root", "G": "0", "h": "/root", "s": "/bin/sh",
    }  # fmt: skip
    if instance or "@" not in name:
        known |= {"i": instance, "I": _path(instance), "f": f"/{_path(instance or prefix)}"}
    return known


def fill(text: str, known: Mapping[str, str]) -> str:
    """The text with every specifier filled in. Raises ValueError."""

    def one(match: re.Match[str]) -> str:
        value = known.get(match[1])
        if value is None:
            raise ValueError(f"{match[0]} has no value here")
        return value

    return _SPECIFIER.sub(one, text)


def _path(text: str) -> str:
    """systemd-escape --unescape: `-` is `/`, \\x2d is a character."""
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text.replace("-", "/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """One command line of a unit, with the marks before it."""

    words: tuple[str, ...]
    may_fail: bool = False  # -
    as_it_is: bool = False  # : no variables
    privileged: bool = False  # + or !
    renamed: bool = False  # @


def read_exec(text: str) -> Exec:
    """A command line. Raises ValueError."""
    marks = _PREFIX.match(text.strip())
    prefix = marks[0] if marks else ""
    words = split_words(text.strip()[len(prefix) :])
    if not words:
        raise ValueError("there is no command")
    if "@" in prefix and len(words) > 1:
        del words[1]  # the second word is only what `ps` shows
    return Exec(
        words=tuple(words),
        may_fail="-" in prefix,
        as_it_is=":" in prefix,
        privileged="+" in prefix or "!" in prefix,
        renamed="@" in prefix,
    )


def command_line(command: Exec, env: Mapping[str, str]) -> tuple[str, bool]:
    """The command for Chapiteau, and whether it needs a shell.

    systemd fills `$NAME` from the unit's own environment: what is known is filled in here, for the
    rest (from EnvironmentFile=) a shell has to.
    """
    if command.as_it_is:
        return _escaped(shlex.join(command.words)), False
    words = [filled for word in command.words for filled in _known_words(word, env)]
    if not any(_unknown(word) for word in words):
        return _escaped(shlex.join(word.replace("$$", "$") for word in words)), False
    return _escaped(exec_line(" ".join(map(_for_shell, words)))), True


def _escaped(line: str) -> str:
    # Our own variables have a dot in their names; a shell's have none.
    return re.sub(r"\$\{[^{}.]*\}", lambda m: "$" + m[0], line)


def _known_words(word: str, env: Mapping[str, str]) -> list[str]:
    """The word filled in; `$NAME` as a word of its own becomes as many as its value has."""
    whole = _WHOLE.fullmatch(word)
    if whole and whole[1] in env:
        return [part.replace("$", "$$") for part in split_words(env[whole[1]])]
    return [_fill_known(word, env)]


def _fill_known(word: str, env: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return env[name].replace("$", "$$") if name in env else match[0]

    return _VARIABLE.sub(one, word)


def _unknown(word: str) -> bool:
    return any(match[0] != "$$" for match in _VARIABLE.finditer(word))


def _for_shell(word: str) -> str:
    if _WHOLE.fullmatch(word):
        return word  # as a word of its own it is split at spaces, in a shell too
    if not _unknown(word):
        return shlex.quote(word.replace("$$", "$"))
    quoted = re.sub(r'([\\"`])', r"\\\1", word).replace("$$", "\\$")
    return f'"{quoted}"'
