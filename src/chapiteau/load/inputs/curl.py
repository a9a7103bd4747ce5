"""curl command lines, as people write them and as browsers copy them → requests.

Options about what is sent are understood. Those about output, retries and the connection are read
over; those that name a file ask `read_file`.
"""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.load.inputs.openapi.serialization import encode_multipart
from chapiteau.load.inputs.recording import (
    ParsedInput,
    ReadFile,
    SequenceFlow,
    first_origin,
    kept_headers,
    read_body_file,
)
from chapiteau.load.inputs.shell_words import ShellCommand, ShellError, split_commands
from chapiteau.load.inputs.url_encoding import quote, url_origin
from chapiteau.load.scenario.flow import FlowRequest

__all__ = ["read_curl"]

_SHORT: Final = {
    "X": "request", "H": "header", "d": "data", "F": "form", "u": "user", "b": "cookie",
    "A": "user-agent", "e": "referer", "G": "get", "I": "head", "T": "upload-file",
    "o": "output", "m": "max-time", "x": "proxy", "w": "write-out", "c": "cookie-jar",
    "E": "cert", "D": "dump-header", "K": "config", "r": "range", "y": "speed-time",
    "Y": "speed-limit", "C": "continue-at", "U": "proxy-user", "z": "time-cond",
    "P": "ftp-port", "Q": "quote", "t": "telnet-option", "h": "help",
}  # fmt: skip
# Options with a value that say nothing about what is sent.
_SKIPPED: Final = frozenset(
    "output max-time connect-timeout proxy write-out cookie-jar cert key cacert capath dump-header "
    "retry retry-delay retry-max-time interface resolve connect-to ciphers tls-max limit-rate "
    "max-redirs keepalive-time speed-time speed-limit continue-at proxy-user proxy-header trace "
    "trace-ascii stderr cert-type key-type pass engine dns-servers local-port noproxy output-dir "
    "parallel-max rate hsts alt-svc time-cond unix-socket ftp-port quote telnet-option "
    "create-file-mode curves happy-eyeballs-timeout-ms max-filesize expect100-timeout socks5 "
    "socks5-hostname preproxy netrc-file pinnedpubkey proto proto-default proto-redir "
    "tls13-ciphers abstract-unix-socket crlfile doh-url etag-save etag-compare trace-config "
    "keepalive-cnt libcurl dns-interface dns-ipv4-addr dns-ipv6-addr delegation".split()
)
_REFUSED: Final = {
    "request-target": "write it as the path of the URL",
    "variable": "write its value",
    "config": "write its options in the command",
}
_WITH_VALUE: Final = frozenset(
    "request header data data-raw data-ascii data-binary data-urlencode json form form-string user "
    "cookie user-agent referer url url-query oauth2-bearer range aws-sigv4 upload-file".split()
)
_FLAGS: Final = frozenset(
    "get head insecure location compressed silent show-error verbose include fail http1.0 http1.1 "
    "http2 http2-prior-knowledge http3 ipv4 ipv6 globoff no-buffer tlsv1 tlsv1.2 tlsv1.3 ssl-reqd "
    "digest basic anyauth ntlm negotiate location-trusted create-dirs remote-name no-keepalive "
    "remote-header-name progress-bar fail-with-body path-as-is raw tcp-nodelay http0.9 no-alpn "
    "no-progress-meter disable no-sessionid parallel fail-early junk-session-cookies help "
    "remote-time styled-output no-styled-output post301 post302 post303 netrc netrc-optional "
    "trace-time trace-ids crlf ca-native cert-status ssl ssl-no-revoke tlsv1.0 tlsv1.1 http3-only "
    "suppress-connect-headers proxytunnel proxy-insecure doh-insecure tcp-fastopen "
    "remote-name-all skip-existing clobber disallow-username-in-url tr-encoding xattr".split()
)
_GLOB: Final = re.compile(r"\[\w+-\w+(?::\d+)?\]|\{[^{}]*,[^{}]*\}")
_BOUNDARY: Final = "------------------------chapiteau7f3a9c1e"


def read_curl(text: str, *, name: str = "curl", read_file: ReadFile | None = None) -> ParsedInput:
    """A session of the commands' requests in their order.

    Raises InvalidInputError when a command can't be read; options that are read over are told.
    """
    problems: list[Problem] = []
    requests: list[FlowRequest] = []
    try:
        for number, command in enumerate(split_commands(text), 1):
            where = f"{name}:{number}" if number > 1 or "\n" in text.strip() else name
            requests += _requests(command, where, problems, read_file)
    except ShellError as exc:
        problems.append(Problem(name, str(exc), "copy the command again, whole"))
        raise_problems(name, problems)
    if not requests:
        raise_problems(name, problems or [Problem(name, "has no curl command in it")])
    return ParsedInput(
        flow=SequenceFlow(name, tuple(requests)),
        base_url=first_origin(requests),
        problems=tuple(problems),
    )


def _requests(
    typed: ShellCommand, where: str, problems: list[Problem], read_file: ReadFile | None
) -> list[FlowRequest]:
    words = typed.words[1:] if typed.words[0] in {"$", "%", ">"} else typed.words
    if not words:
        return []
    if words[0].rpartition("/")[2].removesuffix(".exe") != "curl":
        if typed.piped:
            return []  # what becomes of the answer
        hint = "put a URL with & in quotes" if "=" in words[0] else "a command begins with curl"
        problems.append(Problem(where, f"is no curl command: {words[0][:40]!r}", hint))
        return []
    for variable in typed.variables:
        what = f"{variable} is sent as it stands: no shell is asked"
        problems.append(Problem(where, what, "write its value"))
    found: list[FlowRequest] = []
    for part in _between_nexts(words[1:]):
        command = _Command(where, problems, _reading(typed.given, read_file))
        command.read(part)
        found += command.requests()
    return found


def _reading(given: str | None, read_file: ReadFile | None) -> ReadFile | None:
    """The door to files; `-` is what a here-document gives."""
    if given is None:
        return read_file

    def read(path: str) -> bytes:
        if path == "-":
            return given.encode("utf-8", "surrogateescape")
        if read_file is None:
            raise OSError(0, "files are not read here")
        return read_file(path)

    return read


def _between_nexts(words: list[str]) -> Iterator[list[str]]:
    """`--next` (and `-:`) begins another request within one command."""
    part: list[str] = []
    for word in words:
        if word in {"--next", "-:"}:
            yield part
            part = []
        else:
            part.append(word)
    yield part


@dataclass(slots=True)
class _Command:
    """One command's options, gathered word by word."""

    where: str
    problems: list[Problem]
    read_file: ReadFile | None
    urls: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    data: list[bytes] = field(default_factory=list)
    parts: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    defaults: list[tuple[str, str]] = field(default_factory=list)  # headers unless given
    method: str = ""
    as_query: bool = False
    only_head: bool = False
    upload: str | None = None  # name of the file that is PUT

    def problem(self, what: str, hint: str = "") -> None:
        self.problems.append(Problem(self.where, what, hint))

    # ── words ───────────────────────────────────────────────────────────────────────────────

    def read(self, words: list[str]) -> None:
        pending = iter(words)
        for word in pending:
            if word == "--":
                self.urls += pending
            elif word.startswith("--"):
                self.long(word[2:], pending)
            elif word.startswith("-") and len(word) > 1:
                self.short(word[1:], pending)
            elif word:
                self.urls.append(word)

    def long(self, name: str, pending: Iterator[str]) -> None:
        if name in _FLAGS or name.removeprefix("no-") in _FLAGS:
            self.flag(name)
        elif name in _WITH_VALUE or name in _SKIPPED or name in _REFUSED:
            value = next(pending, None)
            if value is None:
                self.problem(f"--{name} needs a value")
            else:
                self.option(name, value)
        else:
            known = did_you_mean(name, _FLAGS | _WITH_VALUE | _SKIPPED)
            self.problem(f"--{name} is not an option that is known here", known)

    def short(self, letters: str, pending: Iterator[str]) -> None:
        """`-sSX POST`, `-XPOST`: flags may be joined, a value may follow at once."""
        for at, letter in enumerate(letters):
            name = _SHORT.get(letter)
            if name in _FLAGS:
                self.flag(str(name))
            elif name is not None:
                value = letters[at + 1 :] or next(pending, None)
                if value is None:
                    self.problem(f"-{letter} needs a value")
                else:
                    self.option(name, value)
                return

    def flag(self, name: str) -> None:
        if name == "get":
            self.as_query = True
        elif name in {"digest", "ntlm", "negotiate"}:
            self.problem(f"--{name} is not done", "--user goes as basic authorisation")
        elif name == "head":
            self.only_head = True

    def option(self, name: str, value: str) -> None:
        take = _TAKES.get(name)
        if take is not None:
            take(self, value)
        elif name in _REFUSED:
            self.problem(f"--{name} is not taken over", _REFUSED[name])

    # ── what is sent ────────────────────────────────────────────────────────────────────────

    def header(self, line: str) -> None:
        if line.startswith("@"):
            content = self.content(line[1:]).decode("utf-8", "replace")
            for one in content.splitlines():
                self.header(one.strip() or "-")
            return
        name, colon, value = line.partition(":")
        if colon and value.strip():
            self.headers.append((name.strip(), value.strip()))
        elif colon:
            self.removed.add(name.strip().lower())  # `-H 'Accept:'` sends none
        elif line.endswith(";"):
            self.headers.append((line[:-1].strip(), ""))

    def content(self, path: str) -> bytes:
        return read_body_file(path, self.where, self.problems, self.read_file)

    def plain_data(self, value: str) -> None:
        """-d: a file's line breaks are taken out, as curl does."""
        if value.startswith("@"):
            content = self.content(value[1:])
            self.data.append(content.translate(None, b"\r\n\0"))
        else:
            self.data.append(value.encode("utf-8", "surrogateescape"))

    def binary_data(self, value: str) -> None:
        if value.startswith("@"):
            self.data.append(self.content(value[1:]))
        else:
            self.data.append(value.encode("utf-8", "surrogateescape"))

    def encoded(self, value: str) -> str:
        """--data-urlencode: `content`, `=content`, `name=content`, `@file`, `name@file`."""
        mark = next((c for c in value if c in "=@"), "")
        name, _, rest = value.partition(mark) if mark else ("", "", value)
        if mark == "@":
            rest = self.content(rest).decode("utf-8", "replace")
        return f"{name}={quote(rest)}" if name else quote(rest)

    def form(self, value: str) -> None:
        """-F name=text, name=@file, name=<file, with `;type=…` and `;filename=…`."""
        name, found, rest = value.partition("=")
        if not found:
            self.problem(f"-F {value!r} needs the form name=value")
            return
        if rest[:1] not in {"@", "<"}:
            text, more = _attributes(rest)
            self.parts.append((name, "", more.get("type", ""), text.encode()))
            return
        path, more = _attributes(rest[1:])
        file = more.get("filename", path.rpartition("/")[2]) if rest[0] == "@" else ""
        kind = more.get("type", "application/octet-stream" if file else "")
        self.parts.append((name, file, kind, self.content(path)))

    def form_text(self, value: str) -> None:
        name, _, text = value.partition("=")
        self.parts.append((name, "", "", text.encode()))

    def json(self, value: str) -> None:
        """--json: several are one after the other, with nothing in between."""
        before = self.data
        self.data = []
        self.binary_data(value)
        self.data = [b"".join(before + self.data)]
        self.defaults += [("Content-Type", "application/json"), ("Accept", "application/json")]

    def put_file(self, path: str) -> None:
        """-T: the file is PUT, below the URL when that names a folder."""
        self.data.append(self.content(path))
        self.upload = path.rpartition("/")[2]

    def user(self, value: str) -> None:
        pair = value if ":" in value else value + ":"
        token = base64.b64encode(pair.encode()).decode()
        self.defaults.append(("Authorization", f"Basic {token}"))

    def cookie(self, value: str) -> None:
        if "=" in value:
            self.headers.append(("Cookie", value))
        else:
            self.problem(
                f"cookies from the file {value!r} are left out", "write them: -b name=value"
            )

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def requests(self) -> list[FlowRequest]:
        if not self.urls:
            self.problem("the command has no URL")
        return [self.request(url) for url in self.urls]

    def request(self, url: str) -> FlowRequest:
        if found := _GLOB.search(url):
            self.problem(f"{found[0]} in a URL is sent as it stands", "write one line for each")
        body, headers = self.body()
        query = list(self.query)
        if self.as_query and body:
            query.append(body.decode("utf-8", "replace"))
            body, headers = b"", [h for h in headers if h[0] != "Content-Type"]
        sending = "PUT" if self.upload is not None else "POST" if body else "GET"
        method = self.method or ("HEAD" if self.only_head else sending)
        path, mark, asked = url.partition("?")
        if self.upload and path.endswith("/"):
            url = path + quote(self.upload) + mark + asked
        names = {name.lower() for name, _ in self.headers} | self.removed
        added = [h for h in headers if h[0].lower() not in names]
        return FlowRequest(
            method=method.upper(),
            url=_with_query(_absolute(url), query),
            headers=kept_headers([*self.headers, *added]),
            body=body,
        )

    def body(self) -> tuple[bytes, list[tuple[str, str]]]:
        if self.parts:
            kind, body = encode_multipart(self.parts, _BOUNDARY)
            return body, [*self.defaults, ("Content-Type", kind)]
        headers = list(self.defaults)
        named = any(name == "Content-Type" for name, _ in headers)
        if self.data and not named and self.upload is None:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        return b"&".join(self.data), headers


_TAKES: Final[dict[str, Callable[[_Command, str], None]]] = {
    "url": lambda c, v: c.urls.append(v),
    "request": lambda c, v: setattr(c, "method", v),
    "header": _Command.header,
    "data": _Command.plain_data,
    "data-ascii": _Command.plain_data,
    "data-raw": lambda c, v: c.data.append(v.encode("utf-8", "surrogateescape")),
    "data-binary": _Command.binary_data,
    "data-urlencode": lambda c, v: c.data.append(c.encoded(v).encode()),
    "url-query": lambda c, v: c.query.append(c.encoded(v)),
    "json": _Command.json,
    "form": _Command.form,
    "form-string": _Command.form_text,
    "upload-file": _Command.put_file,
    "user": _Command.user,
    "oauth2-bearer": lambda c, v: c.defaults.append(("Authorization", f"Bearer {v}")),
    "cookie": _Command.cookie,
    "user-agent": lambda c, v: c.defaults.append(("User-Agent", v)),
    "referer": lambda c, v: c.defaults.append(("Referer", v.removesuffix(";auto"))),
    "range": lambda c, v: c.defaults.append(("Range", f"bytes={v}")),
}


def _attributes(text: str) -> tuple[str, dict[str, str]]:
    """`value;type=text/plain;filename=x` → the value and what is said about it."""
    value, *more = text.split(";")
    found: dict[str, str] = {}
    for piece in more:
        name, mark, rest = piece.strip().partition("=")
        if mark and name in {"type", "filename", "headers", "encoder"}:
            found[name] = rest.strip('"')
        else:
            value += ";" + piece  # a semicolon of the value itself
    return value.strip('"') if value.startswith('"') else value, found


def _absolute(url: str) -> str:
    if not url_origin(url) and not url.startswith("/"):
        url = "http://" + url  # as curl guesses
    head = url.partition("#")[0]
    base = url_origin(head)
    return head if len(head) > len(base) or not base else head + "/"


def _with_query(url: str, pieces: list[str]) -> str:
    if not pieces:
        return url
    joiner = "&" if "?" in url else "?"
    return url + joiner + "&".join(pieces)
