"""Command lines → words, as a POSIX shell or Windows' cmd would split them, nothing executed."""

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ShellCommand", "ShellError", "split_commands"]

# What stands between words: blanks, continued lines, comments, the end of a command, and
# redirections (`>file`, `2>&1`, and `<<END`, whose text stands on the next lines).
_BETWEEN: Final = re.compile(
    r"(?:[ \t\r]|\\\r?\n)+|\#[^\n]*|(?P<end>\|\||[\n;&|])"
    r"|\d?(?P<redirection><<-?|>>|[<>]&?)[ \t\r]*"
)
_PIECE: Final = re.compile(
    r"""'(?P<single>[^']*)' | "(?P<double>(?:\\.|[^"\\])*)" | \$'(?P<ansi>(?:\\.|[^'\\])*)'
    | \\(?P<continued>\r?\n) | \\(?P<escaped>.?) | (?P<plain>(?:[^\ \t\r\n;&|'"\\$]|\$(?!'))+)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED: Final = re.compile(r'\\([$`"\\\n])')  # within double quotes
_OPEN: Final = {"'": "a single quote", '"': "a double quote", "$": "a $'…' quote"}
_VARIABLE: Final = re.compile(r"\$(?:\{\w+\}|[A-Za-z_]\w*)")
# ANSI-C quoting $'…' (bash): what Chrome uses for line breaks and characters beyond ASCII.
_ANSI: Final = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b",
    "E": "\x1b", "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_ANSI_CODE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL
)


@dataclass(slots=True)
class ShellCommand:
    """One command: its words, what a here-document gives it to read, variables in it."""

    words: list[str] = field(default_factory=list)
    given: str | None = None
    variables: list[str] = field(default_factory=list)  # `$NAME`, kept as it stands
    piped: bool = False  # it reads what another command writes

    def give(self, text: str) -> None:
        """The text of its here-document."""
        self.given = text


class ShellError(ValueError):
    """The quotes of a command line don't match."""


def split_commands(text: str) -> list[ShellCommand]:
    """The commands; they end at line breaks, `;`, `&` and `|`.

    A comment reaches from `#` to the end of its line. Raises ShellError.
    """
    if '^"' in text or re.search(r"\^\r?\n", text):  # copied for Windows' cmd
        text = re.sub(r"\^(.)", r"\1", re.sub(r"\^\r?\n", " ", text), flags=re.DOTALL)
    commands = [ShellCommand()]
    documents: list[tuple[str, ShellCommand]] = []  # here-documents that the next lines are
    at = 0
    while at < len(text):
        command, found = commands[-1], _BETWEEN.match(text, at)
        if found is None:
            word, at = _word(text, at, command.variables)
            command.words.append(word)
            continue
        at = found.end()
        if redirection := found["redirection"]:
            target, at = _word(text, at, command.variables)
            if redirection.startswith("<<"):
                documents.append((target, command))
        elif found["end"] == "\n":
            at = _read_documents(text, at, documents)
            documents = []
        if found["end"]:
            commands.append(ShellCommand(piped=found["end"] == "|"))
    return [command for command in commands if command.words]


def _read_documents(text: str, at: int, documents: list[tuple[str, ShellCommand]]) -> int:
    """Give each command its here-document; where the text goes on after them."""
    for mark, command in documents:
        given = ""
        while at < len(text):
            line, _, _ = text[at:].partition("\n")
            at = min(len(text), at + len(line) + 1)
            if line.strip("\t\r ") == mark:
                break
            given += line.rstrip("\r") + "\n"
        command.give(given)
    return at


def _word(text: str, at: int, variables: list[str]) -> tuple[str, int]:
    """The word that begins here, and where it ends."""
    pieces: list[str] = []
    while found := _PIECE.match(text, at):
        at = found.end()
        kind = str(found.lastgroup)
        piece = found[kind]
        if kind in {"plain", "double"}:
            variables += _variables(piece, variables)
        if kind == "double":
            piece = _ESCAPED.sub(lambda m: m[1].strip("\n"), piece)
        elif kind == "ansi":
            piece = _ANSI_CODE.sub(_unescaped, piece)
        pieces.append("" if kind == "continued" else piece)
    if text[at : at + 1] in _OPEN:
        raise ShellError(f"{_OPEN[text[at]]} is not closed")
    return "".join(pieces), at


def _variables(piece: str, known: list[str]) -> list[str]:
    found = _VARIABLE.findall(re.sub(r"\\.", "", piece, flags=re.DOTALL))
    return [name for name in dict.fromkeys(found) if name not in known]


def _unescaped(found: "re.Match[str]") -> str:
    if found[5]:
        return _ANSI.get(found[5], found[0])
    number = int(found[4], 8) if found[4] else int(found[1] or found[2] or found[3], 16)
    return chr(number) if number < 0x110000 else "\ufffd"
