"""Command lines as reports may show them: without tokens, passwords and keys."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["redact_arguments", "redact_text", "redact_url"]

_HIDDEN: Final = "•••"
_SECRET: Final = frozenset({"--bearer", "--basic", "--api-keys", "--export-headers", "--notify"})
# Of these, only values whose name says that they are secret.
_PAIRS: Final = frozenset({"--headers", "--variables", "--options"})
_NAME: Final = re.compile(
    r"auth|token|secret|passw|api.?key|cookie|session|credential", re.IGNORECASE
)
_WORD: Final = (
    r"[\w.-]*(?:authorization|token|secret|passw(?:or)?d|passwort|api[_-]?key|cookie|session[_-]?id"
    r"|credential|csrf)[\w.-]*"
)
# name: value and name=value, in JSON, forms, query strings, header fields and Python's repr.
_JSON: Final = re.compile(rf"""(["']){_WORD}\1\s*:\s*(["'])""", re.IGNORECASE)
_FIELD: Final = re.compile(rf"(?m)^(\s*{_WORD}\s*:\s*)(\S.*)$", re.IGNORECASE)
_FORM: Final = re.compile(rf"\b({_WORD}=)[^&\s\"'<>]+", re.IGNORECASE)
_SCHEME: Final = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_JWT: Final = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")
_MAIL: Final = re.compile(r"\b[\w.+-]+@([\w-]+\.[\w.-]*\w)")
_CARD: Final = re.compile(r"\b(?:\d[ -]?){12,15}(\d{4})\b")
_IN_URL: Final = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


def redact_arguments(words: Iterable[str]) -> Iterator[str]:
    """The words of a command line, secrets replaced; passwords within URLs, too."""
    before = ""
    for word in words:
        option, mark, value = word.partition("=")
        if mark and option in _SECRET | _PAIRS:
            yield f"{option}={_shown(option, value)}"
        elif before in _SECRET | _PAIRS:
            yield _shown(before, word)
        else:
            yield _IN_URL.sub(f"{_HIDDEN}@", word)
        before = word


def _shown(option: str, value: str) -> str:
    name, mark, _ = value.partition("=")
    if option not in _PAIRS:
        return f"{name}={_HIDDEN}" if option == "--api-keys" and mark else _HIDDEN
    return f"{name}={_HIDDEN}" if mark and _NAME.search(name) else value


def redact_url(text: str) -> str:
    """The same without a password in its URL."""
    return _IN_URL.sub(f"{_HIDDEN}@", text)


def redact_text(text: str) -> str:
    """A sample of an answer or a traceback without what is private, as far as that can be told:
    values named token, password or alike, credentials, JSON web tokens, mailboxes, card numbers.
    """
    text = _IN_URL.sub(f"{_HIDDEN}@", text)
    text = _JWT.sub(_HIDDEN, text)
    text = _without_values(text)
    text = _SCHEME.sub(rf"\1 {_HIDDEN}", text)
    text = _FIELD.sub(rf"\1{_HIDDEN}", text)
    text = _FORM.sub(rf"\1{_HIDDEN}", text)
    text = _MAIL.sub(rf"{_HIDDEN}@\1", text)
    return _CARD.sub(rf"{_HIDDEN}\1", text)


def _without_values(text: str) -> str:
    """Quoted values of private names; a backslash takes the next letter with it."""
    made, at = [], 0
    for found in _JSON.finditer(text):
        if found.start() < at:
            continue
        end = found.end()
        while end < len(text) and text[end] != found[2]:
            end += 2 if text[end] == "\\" else 1
        made += [text[at : found.end()], _HIDDEN]
        at = min(end, len(text))
    return "".join([*made, text[at:]])
