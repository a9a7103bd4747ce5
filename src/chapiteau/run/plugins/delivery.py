"""Delivers notices: JSON by HTTP, text by mail; blocking, for a thread."""

import http.client
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any, Final

from chapiteau.run.config.plugin_settings import SmtpServer

__all__ = ["DeliveryError", "http_post", "post_json", "send_mail"]

_LOOKED_AT: Final = 64 << 10  # bytes of an answer
_LONGEST_WAIT: Final = 300.0  # seconds that a Retry-After may ask for
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class DeliveryError(Exception):
    """It could not be delivered; `lasting` when trying again would not help."""

    def __init__(self, what: str, *, lasting: bool = False, again_in: float = 0.0) -> None:
        super().__init__(what)
        self.lasting = lasting
        self.again_in = again_in  # seconds, when the other side said so (Retry-After)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET, and lose the notice without a word."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str], limit: float) -> None:
    """POST it. Raises DeliveryError."""
    http_post(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, limit
    )


def http_post(url: str, data: bytes, headers: Mapping[str, str], limit: float) -> bytes:
    """POST it; the first 64 KiB of the answer. Raises DeliveryError."""
    request = urllib.request.Request(  # noqa: S310 — http(s), by the rules of the configuration
        url, data=data, headers={"User-Agent": "chapiteau", **headers}, method="POST"
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=limit) as answer:
            return bytes(answer.read(_LOOKED_AT))
    except urllib.error.HTTPError as exc:
        with exc:
            lasting = exc.code not in _TRY_AGAIN
            wait = exc.headers.get("Retry-After", "")
            again = min(float(wait), _LONGEST_WAIT) if wait.isdecimal() else 0.0
            what = f"{_host(url)} answered {exc.code}"
            raise DeliveryError(what, lasting=lasting, again_in=again) from None
    except (OSError, http.client.HTTPException, ValueError) as exc:
        why = str(getattr(exc, "reason", "")) or str(exc) or type(exc).__name__
        raise DeliveryError(f"{_host(url)}: {why}") from None


def _host(url: str) -> str:
    """Addresses of webhooks hold secrets in their paths: only the host may be shown."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def send_mail(server: SmtpServer, password: str, message: EmailMessage, limit: float) -> None:
    """Hand it to the mail server. Raises DeliveryError."""
    if not message["From"]:
        message["From"] = server.sender or f"chapiteau@{socket.getfqdn()}"
    where = f"{server.host}:{server.port}"
    try:
        with _connect(server, limit) as smtp:
            if server.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, password)
            smtp.send_message(message)
    except smtplib.SMTPResponseException as exc:
        said = (
            exc.smtp_error.decode("utf-8", "replace") if isinstance(exc.smtp_error, bytes) else ""
        )
        lasting = 500 <= exc.smtp_code < 600
        raise DeliveryError(f"{where}: {exc.smtp_code} {said}", lasting=lasting) from None
    except smtplib.SMTPRecipientsRefused as exc:
        raise DeliveryError(f"{where}: {', '.join(exc.recipients)} refused", lasting=True) from None
    except (OSError, smtplib.SMTPException) as exc:
        raise DeliveryError(f"{where}: {exc}") from None


def _connect(server: SmtpServer, limit: float) -> smtplib.SMTP:
    if server.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, timeout=limit, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=limit)
