"""The environment of a process: who says what, and who has the last word."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from chapiteau.core.secret import Secret
from chapiteau.core.variables import substitute
from chapiteau.io.secret_file import SecretRef, resolve_secret
from chapiteau.run.config.spec import Service

__all__ = [
    "inheritable",
    "merge_environment",
    "parse_env_file",
    "read_secrets",
    "secret_variables",
    "without",
]

# What the supervisor was told about itself is a lie for its children.
_NOT_INHERITED: Final = re.compile(
    r"LISTEN_(?:PID|FDS|FDNAMES|PIDFDID)|NOTIFY_SOCKET|WATCHDOG_(?:PID|USEC)|MAINPID"
    r"|INVOCATION_ID|JOURNAL_STREAM|FDSTORE|CHAPITEAU_.*"
)
_SUSPECT: Final = frozenset("LNWMIJFC")  # what they begin with: looked at for every process
_KEPT_WHEN_CLEAN: Final = ("PATH", "LANG", "LC_ALL", "TZ")
_NO_SECRETS: Final = frozenset({*_KEPT_WHEN_CLEAN, "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR"})
_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME: Final = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_][\w.]*)[^\S\n]*=[^\S\n]*")
_QUOTED: Final = {
    "'": re.compile(r"'([^']*)'"),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def merge_environment(  # noqa: PLR0913 — each source of variables is one
    service: Service,
    *,
    inherited: Mapping[str, str],
    folder: Path = Path(),
    account: Mapping[str, str] | None = None,
    files: Iterable[Mapping[str, str]] = (),
    secrets: Mapping[str, Secret] | None = None,
    values: Mapping[str, str] | None = None,
    sockets: Sequence[str] = (),
) -> dict[str, str]:
    """The final environment; what comes later wins.

    Inherited (or only PATH and the language with `clean_env`), then `account` (HOME, USER … of
    the user it runs as), the virtualenv (relative to `folder`, the configuration file's), each of
    `files`, `env` with its `secrets` and with spawn-time `values` filled in, then LISTEN_FDS and
    LISTEN_FDNAMES for `sockets`.
    LISTEN_PID is the spawner's to add: only it knows the pid.
    """
    given = values or {}
    made = _base(inherited, clean=service.clean_env)
    made.update(account or {})
    if service.virtualenv:
        home = (folder / substitute(service.virtualenv, given)).absolute()
        made["VIRTUAL_ENV"] = str(home)
        made["PATH"] = f"{home}/bin:{made.get('PATH', _DEFAULT_PATH)}"
        made.pop("PYTHONHOME", None)
    for content in files:
        made.update(content)
    for name, value in service.env.items():
        if isinstance(value, SecretRef):
            made[name] = (secrets or {})[name].reveal()
        else:
            made[name] = substitute(value, given)
    for variable, key in (("SERVICE", "service.name"), ("PROCESS", "process.number")):
        if key in given:
            made[f"CHAPITEAU_{variable}"] = given[key]
    if sockets:
        made["LISTEN_FDS"] = str(len(sockets))
        made["LISTEN_FDNAMES"] = ":".join(sockets)
    return made


def _base(inherited: Mapping[str, str], *, clean: bool) -> dict[str, str]:
    if clean:
        made = {name: inherited[name] for name in _KEPT_WHEN_CLEAN if name in inherited}
        made.setdefault("PATH", _DEFAULT_PATH)
        return made
    return inheritable(inherited)


def inheritable(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the supervisor was told about itself."""
    return {
        name: value
        for name, value in environ.items()
        if name[:1] not in _SUSPECT or not _NOT_INHERITED.fullmatch(name)
    }


def secret_variables(services: Iterable[Service]) -> frozenset[str]:
    """The supervisor's variables that hold secrets of these services: nobody inherits them.

    Whoever is to have one says so, as `{ env = "NAME" }`. PATH and its like are never secret.
    """
    refs = (value for service in services for value in service.env.values())
    return frozenset(r.env for r in refs if isinstance(r, SecretRef) and r.env) - _NO_SECRETS


def without(environ: Mapping[str, str], names: Collection[str]) -> Mapping[str, str]:
    """What is inherited where these variables are withheld."""
    return {k: v for k, v in environ.items() if k not in names} if names else environ


def parse_env_file(text: str) -> dict[str, str]:
    """NAME=value lines; `export`, # comments and quotes as in .env files.

    Single quotes keep everything as it is, double quotes know \\n, \\t, \\" and \\\\; either may go
    over several lines. Raises ValueError with the number of the line.
    """
    found: dict[str, str] = {}
    whole = re.sub(r"\r\n?", "\n", text)
    at = 0
    while at < len(whole):
        end = _line_end(whole, at)
        line = whole[at:end].strip()
        if line and not line.startswith("#"):
            try:
                name, value, end = _assignment(whole, at, end)
            except ValueError as exc:
                raise ValueError(f"line {whole.count(chr(10), 0, at) + 1}{exc}") from None
            found[name] = value
        at = end + 1
    return found


def _line_end(whole: str, at: int) -> int:
    end = whole.find("\n", at)
    return len(whole) if end < 0 else end


def _assignment(whole: str, at: int, end: int) -> tuple[str, str, int]:
    """Name, value and where its last line ends."""
    match = _NAME.match(whole, at, end)
    if match is None:
        raise ValueError(" is not NAME=value")
    start = match.end()
    quote = whole[start : min(start + 1, end)]
    if quote not in _QUOTED:
        plain = whole[start:end].strip()
        return match[1], "" if plain.startswith("#") else re.sub(r"\s+#.*$", "", plain), end
    value = _QUOTED[quote].match(whole, start)
    last = _line_end(whole, value.end()) if value else end
    if value is None or not re.fullmatch(r"\s*(?:#.*)?", whole[value.end() : last]):
        raise ValueError(": the quote is not closed")
    if quote == "'":
        return match[1], value[1], last
    return match[1], re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), value[1]), last


# The values of a service's secrets, read at spawn time.


def read_secrets(
    service: Service, folder: Path, environ: Mapping[str, str] | None = None
) -> dict[str, Secret]:
    """The secret values of a service's environment, by variable name.

    Paths are relative to `folder`. Raises NotFoundError, and RefusedError when a file may be read
    by others or belongs to somebody else than root and this user.
    """
    source = os.environ if environ is None else environ
    return {
        name: resolve_secret(name, value, folder, source)
        for name, value in service.env.items()
        if isinstance(value, SecretRef)
    }
