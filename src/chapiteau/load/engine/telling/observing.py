"""Tells people that a test has ended, and how."""

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final

from chapiteau.load.logic.export.observer import Observer, mail_of, parse_observer, payload

__all__ = ["notify"]

_TIMEOUT: Final = 10.0


def notify(observers: Sequence[str], document: Mapping[str, Any]) -> Iterator[str]:
    """Tell all of them; one line for each that could not be told. The test's verdict stays."""
    for text in observers:
        observer = parse_observer(text)
        try:
            if observer.url:
                _hook(observer, document)
            else:
                _mail(observer, document)
        except urllib.error.HTTPError as exc:
            yield f"{observer} was not told: it answered {exc.code}"
        except (OSError, http.client.HTTPException, smtplib.SMTPException) as exc:
            yield f"{observer} was not told: {getattr(exc, 'reason', exc)}"


def _hook(observer: Observer, document: Mapping[str, Any]) -> None:
    body = json.dumps(payload(document)).encode()
    request = urllib.request.Request(  # noqa: S310 — parse_observer allows http and https only
        observer.url, body, {"Content-Type": "application/json", "User-Agent": "chapiteau"}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        answer.read()


def _mail(observer: Observer, document: Mapping[str, Any]) -> None:
    message = EmailMessage()
    message["Subject"], text = mail_of(document)
    message["From"] = observer.sender
    message["To"] = ", ".join(observer.to)
    message["Date"] = formatdate(document["started"] + document["seconds"])
    message["Message-ID"] = make_msgid(domain=observer.sender.rpartition("@")[2] or None)
    message.set_content(text)
    context = ssl.create_default_context()
    if observer.tls:
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            observer.host, observer.port, timeout=_TIMEOUT, context=context
        )
    else:
        server = smtplib.SMTP(observer.host, observer.port, timeout=_TIMEOUT)
    with server:
        server.ehlo_or_helo_if_needed()  # before that, nothing is known of what it can
        if not observer.tls and server.has_extn("starttls"):
            server.starttls(context=context)
        if observer.user:
            server.login(observer.user, observer.password)
        server.send_message(message)
