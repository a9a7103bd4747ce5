"""Who is told the verdict when a test has ended, and what: a webhook, or a mail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.export.address import parts_of
from chapiteau.load.logic.inputs.quoting import split_query, unquote
from chapiteau.load.logic.report.exchange import as_markdown
from chapiteau.load.logic.report.text import as_text, mark

__all__ = ["Observer", "mail_of", "parse_observer", "payload"]

_HINT: Final = (
    "for example https://host/hook, or mailto:ana@example.org?server=smtp://mail.example.org:25"
)
_ADDRESS: Final = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")


@dataclass(frozen=True, slots=True)
class Observer:
    """A webhook (`url`), or a mailbox (`to`) with the server that takes the mail."""

    url: str = ""
    name: str = ""  # of the webhook's host: its path may be a secret
    to: tuple[str, ...] = ()
    sender: str = ""
    host: str = ""
    port: int = 25
    tls: bool = False  # from the first byte; otherwise STARTTLS when the server offers it
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        return f"mail to {', '.join(self.to)}" if self.to else f"the webhook at {self.name}"


def parse_observer(text: str) -> Observer:
    """Read one `--notify`. Raises UsageError with examples."""
    if text.startswith(("http://", "https://")):
        return Observer(url=text, name=parts_of(text, "notify", _HINT).host)
    scheme, _, rest = text.partition(":")
    if scheme != "mailto":
        raise UsageError(f"notify {text!r}: neither a webhook nor an address", hint=_HINT)
    names, pairs = split_query(rest)
    asked = dict(pairs)
    to = tuple(unquote(one).strip() for one in names.split(",") if one.strip())
    sender = asked.get("from", "chapiteau@localhost")
    if not to or not all(_ADDRESS.fullmatch(one) for one in (*to, sender)):
        raise UsageError(f"notify {text!r}: no address", hint=_HINT)
    server = parts_of(asked.get("server", "smtp://localhost:25"), "notify: server", _HINT)
    if server.scheme not in {"smtp", "smtps"}:
        raise UsageError(f"notify {text!r}: no server like smtp://host:25", hint=_HINT)
    return Observer(
        to=to,
        sender=sender,
        host=server.host,
        port=server.port or (465 if server.scheme == "smtps" else 25),
        tls=server.scheme == "smtps",
        user=server.user,
        password=server.password,
    )


def payload(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook gets: the verdict and the figures. `text` is what chats show."""
    verdict, totals = document["verdict"], document["totals"]
    keys = ("requests", "rate", "errors", "p50", "p90", "p99", "max")
    return {
        "format": "chapiteau-load-notice/1",
        "text": f"{mark(verdict['word'])} {document['name']}: {verdict['line']}",
        "id": document.get("id"),
        "kind": document["kind"],
        "name": document["name"],
        "target": document["target"],
        "started": document["started"],
        "seconds": document["seconds"],
        "verdict": verdict,
        "totals": {key: totals[key] for key in keys},
        "markdown": as_markdown(dict(document)),
    }


def mail_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text of a mail."""
    subject = f"Load test {document['name']}: {document['verdict']['word']}"
    return " ".join(subject.split())[:200], as_text(dict(document)) + "\n"
