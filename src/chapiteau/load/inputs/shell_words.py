"""Command lines → words, as a POSIX shell or Windows' cmd would split them, nothing executed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ShellCommand", "ShellError", "split_commands"]

_SPACE: Final = " \t\r"
_ENDS: Final = "\n;&|"
# ANSI-C quoting $'…' (bash): what Chrome uses for line breaks and characters beyond ASCII.
_ANSI: Final = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b",
    "E": "\x1b", "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_ANSI_CODE: Final = re.compile(
    r"x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})"
)


_VARIABLE: Final = re.compile(r"\$(?:\{\w+\}|[A-Za-z_]\w*)")
# `>file`, `2>&1`, `<file`, and `<<END`, whose text stands on the next lines.
_REDIRECTION: Final = re.compile(r"\d?(<<-?|>>|[<>]&?)")


@dataclass(slots=True)
class ShellCommand:
    """One command: its words, what a here-document gives it to read, variables in it."""

    words: list[str] = field(default_factory=list)
    given: str | None = None
    variables: list[str] = field(default_factory=list)  # `$NAME`, kept as it stands
    piped: bool = False  # it reads what another command writes


class ShellError(ValueError):
    """The quotes of a command line don't match."""


def split_commands(text: str) -> Iterator[ShellCommand]:
    """The commands; they end at line breaks, `;`, `&` and `|`.

    A comment reaches from `#` to the end of its line. Raises ShellError.
    """
    reader = _Reader(_without_carets(text) if _is_cmd(text) else text)
    command = reader.command()
    while command is not None:
        if command.words:
            yield command
        command = reader.command()


def _is_cmd(text: str) -> bool:
    """Copied for Windows' cmd: carets before quotes and at line ends."""
    return '^"' in text or re.search(r"\^\r?\n", text) is not None


def _without_carets(text: str) -> str:
    text = re.sub(r"\^\r?\n", " ", text)
    return re.sub(r"\^(.)", r"\1", text, flags=re.DOTALL)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.here: list[tuple[str, ShellCommand]] = []  # documents that the next lines are
        self.variables: list[str] = []
        self.piped = False

    def command(self) -> ShellCommand | None:
        """The next command, without words for an empty line; None at the end."""
        if self.at >= len(self.text):
            return None
        made, self.variables = ShellCommand(piped=self.piped), []
        self.piped = False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in _SPACE or self.continued():
                self.at += 1 if char in _SPACE else self.continued()
            elif char in _ENDS:
                self.end(char)
                break
            elif char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif found := _REDIRECTION.match(self.text, self.at):
                self.redirection(found, made)
            else:
                made.words.append(self.word())
        made.variables = self.variables
        return made

    def end(self, char: str) -> None:
        """A command's end; at a line's end, the here-documents that it asked for follow."""
        self.at += 1
        self.piped = char == "|" and not self.text.startswith("|", self.at)
        if char != "\n":
            return
        for mark, command in self.here:
            lines = []
            while self.at < len(self.text):
                line, _, _ = self.text[self.at :].partition("\n")
                self.at = min(len(self.text), self.at + len(line) + 1)
                if line.strip("\t\r ") == mark:
                    break
                lines.append(line.rstrip("\r") + "\n")
            command.given = "".join(lines)
        self.here = []

    def redirection(self, found: "re.Match[str]", command: ShellCommand) -> None:
        """Read over it; a here-document's mark is kept."""
        self.at = found.end()
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
        target = self.word()
        if found[1].startswith("<<"):
            self.here.append((target, command))

    def continued(self) -> int:
        """Length of a backslash with a line break here; 0 when there is none."""
        if self.text.startswith("\\\n", self.at):
            return 2
        return 3 if self.text.startswith("\\\r\n", self.at) else 0

    def word(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in _SPACE or char in _ENDS:
                break
            if self.continued():
                self.at += self.continued()
            elif char == "'":
                pieces.append(self.single())
            elif char == '"':
                pieces.append(self.double())
            elif char == "$" and self.text.startswith("$'", self.at):
                pieces.append(self.ansi())
            elif char == "\\":
                pieces.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            else:
                self.note(char)
                pieces.append(char)
                self.at += 1
        return "".join(pieces)

    def note(self, char: str) -> None:
        """A variable begins here, if one does."""
        found = _VARIABLE.match(self.text, self.at) if char == "$" else None
        if found is not None and found[0] not in self.variables:
            self.variables.append(found[0])

    def single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise ShellError("a single quote is not closed")
        inside, self.at = self.text[self.at + 1 : end], end + 1
        return inside

    def double(self) -> str:
        pieces: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            following = self.text[self.at + 1 : self.at + 2]
            if char == '"':
                self.at += 1
                return "".join(pieces)
            if char == "\\" and following and following in '$`"\\\n':
                pieces.append("" if following == "\n" else following)
                self.at += 2
            else:
                self.note(char)
                pieces.append(char)
                self.at += 1
        raise ShellError("a double quote is not closed")

    def ansi(self) -> str:
        pieces: list[str] = []
        self.at += 2
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == "'":
                return "".join(pieces)
            pieces.append(self.ansi_escape() if char == "\\" else char)
        raise ShellError("a $'…' quote is not closed")

    def ansi_escape(self) -> str:
        found = _ANSI_CODE.match(self.text, self.at)
        if found is None:
            char = self.text[self.at : self.at + 1]
            self.at += 1
            return _ANSI.get(char, "\\" + char)
        self.at = found.end()
        digits = next(group for group in found.groups() if group)
        number = int(digits, 8 if found[4] else 16)
        return chr(number) if number < 0x110000 else "\ufffd"
