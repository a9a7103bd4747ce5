"""Tells people that a test has ended, and how."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate, make_msgid
from typing import Final

import msgspec

from chapiteau.core.errors import UsageError
from chapiteau.io.notifier import DeliveryError, SmtpServer, post_json, send_mail, text_message
from chapiteau.load.inputs.url_encoding import split_query, unquote
from chapiteau.load.report.formats import as_markdown
from chapiteau.load.report.result import LoadResult
from chapiteau.load.report.text import as_text, verdict_mark
from chapiteau.load.telemetry.addresses import parse_url_parts

__all__ = ["Recipient", "mail_content", "notify", "parse_recipient", "webhook_payload"]


# Who is told the verdict when a test has ended, and what: a webhook, or a mail.

_HINT: Final = (
    "for example https://host/hook, or mailto:ana@example.org?server=smtp://mail.example.org:25"
)
_ADDRESS: Final = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")


@dataclass(frozen=True, slots=True)
class Recipient:
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


def parse_recipient(text: str) -> Recipient:
    """Read one `--notify`. Raises UsageError with examples."""
    if text.startswith(("http://", "https://")):
        return Recipient(url=text, name=parse_url_parts(text, "notify", _HINT).host)
    scheme, _, rest = text.partition(":")
    if scheme != "mailto":
        raise UsageError(f"notify {text!r}: neither a webhook nor an address", hint=_HINT)
    names, pairs = split_query(rest)
    asked = dict(pairs)
    to = tuple(unquote(one).strip() for one in names.split(",") if one.strip())
    sender = asked.get("from", "chapiteau@localhost")
    if not to or not all(_ADDRESS.fullmatch(one) for one in (*to, sender)):
        raise UsageError(f"notify {text!r}: no address", hint=_HINT)
    server = parse_url_parts(asked.get("server", "smtp://localhost:25"), "notify: server", _HINT)
    if server.scheme not in {"smtp", "smtps"}:
        raise UsageError(f"notify {text!r}: no server like smtp://host:25", hint=_HINT)
    return Recipient(
        to=to,
        sender=sender,
        host=server.host,
        port=server.port or (465 if server.scheme == "smtps" else 25),
        tls=server.scheme == "smtps",
        user=server.user,
        password=server.password,
    )


def webhook_payload(document: LoadResult) -> dict[str, object]:
    """What a webhook gets: the verdict and the figures. `text` is what chats show."""
    verdict = document.verdict
    keys = ("requests", "rate", "errors", "p50", "p90", "p99", "max")
    return {
        "format": "chapiteau-load-notice/1",
        "text": f"{verdict_mark(verdict.word)} {document.name}: {verdict.line}",
        "id": document.id,
        "kind": document.kind,
        "name": document.name,
        "target": document.target,
        "started": document.started,
        "seconds": document.seconds,
        "verdict": msgspec.to_builtins(verdict),
        "totals": {key: getattr(document.totals, key) for key in keys},
        "markdown": as_markdown(document),
    }


def mail_content(document: LoadResult) -> tuple[str, str]:
    """Subject and text of a mail."""
    subject = f"Load test {document.name}: {document.verdict.word}"
    return " ".join(subject.split())[:200], as_text(document) + "\n"


_TIMEOUT: Final = 10.0


def notify(recipients: Sequence[str], document: LoadResult) -> Iterator[str]:
    """Tell all of them; one line for each that could not be told. The test's verdict stays."""
    for text in recipients:
        recipient = parse_recipient(text)
        try:
            if recipient.url:
                post_json(recipient.url, webhook_payload(document), {}, _TIMEOUT)
            else:
                _mail(recipient, document)
        except DeliveryError as exc:
            yield f"{recipient} was not told: {exc}"


def _mail(recipient: Recipient, document: LoadResult) -> None:
    message = text_message(*mail_content(document), to=recipient.to)
    message["From"] = recipient.sender
    message["Date"] = formatdate(document.started + document.seconds)
    message["Message-ID"] = make_msgid(domain=recipient.sender.rpartition("@")[2] or None)
    server = SmtpServer(
        host=recipient.host,
        port=recipient.port,
        security="tls" if recipient.tls else "none",
        user=recipient.user,
    )
    send_mail(server, recipient.password, message, _TIMEOUT, opportunistic=True)
