"""Delivers notifications: JSON to webhooks, text by mail, with one retrying queue per target."""

import asyncio
import contextlib
import http.client
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from random import Random
from typing import Any, Final, Generic, Literal, TypeVar

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.fields import setting
from chapiteau.io.secret_file import SecretRef

__all__ = [
    "DeliveryError",
    "DeliveryQueue",
    "SmtpServer",
    "http_post",
    "post_json",
    "send_mail",
    "text_message",
]

_LOOKED_AT: Final = 64 << 10  # bytes of an answer
_LONGEST_WAIT: Final = 300.0  # seconds that a Retry-After may ask for
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


T = TypeVar("T")
_MAX_PENDING: Final = 1000  # items of one queue; then the oldest are dropped, and counted
_RETRY: Final = Backoff(first=1.0, factor=2.0, cap=60.0, jitter=0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """The server that takes mail."""

    host: str = setting("localhost", help="Where it listens.")
    port: int = setting(25, help="Its port; 587 with STARTTLS, 465 with TLS.", low=1, high=65535)
    security: Literal["none", "starttls", "tls"] = setting("none", help="How it is protected.")
    user: str = setting("", help="Log in as this user.")
    password: SecretRef | None = setting(None, help="Its password.")
    sender: str = setting("", help="From. Default: chapiteau@HOST.")


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


def post_json(
    url: str, body: Mapping[str, object], headers: Mapping[str, str], limit: float
) -> None:
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


def send_mail(
    server: SmtpServer,
    password: str,
    message: EmailMessage,
    limit: float,
    *,
    opportunistic: bool = False,
) -> None:
    """Hand it to the mail server; `opportunistic`: with STARTTLS where it is offered.

    Raises DeliveryError.
    """
    if not message["From"]:
        message["From"] = server.sender or f"chapiteau@{socket.getfqdn()}"
    where = f"{server.host}:{server.port}"
    try:
        with _connect(server, limit) as smtp:
            smtp.ehlo_or_helo_if_needed()  # before that, nothing is known of what it can
            offered = opportunistic and server.security == "none" and smtp.has_extn("starttls")
            if server.security == "starttls" or offered:
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


def text_message(subject: str, text: str, *, to: Sequence[str]) -> EmailMessage:
    """A mail of plain text; the subject becomes one line of at most 200 characters."""
    message = EmailMessage()
    message["Subject"] = " ".join(subject.split())[:200]
    message["To"] = ", ".join(to)
    message.set_content(text)
    return message


class DeliveryQueue(Generic[T]):
    """Items for one target, delivered in order; a target that is away holds up no other queue.

    `send` makes one attempt and raises DeliveryError. It is repeated with growing delays until
    `give_up` seconds have passed since the item was put in; `on_lost` then gets the reason.
    """

    def __init__(
        self,
        send: Callable[[T], Awaitable[None]],
        on_lost: Callable[[str], Awaitable[None]],
        *,
        give_up: float,
        clock: Clock,
        chance: Random,
    ) -> None:
        self._send, self._on_lost, self._give_up = send, on_lost, give_up
        self._clock, self._chance = clock, chance
        self._pending: deque[tuple[float, T]] = deque()
        self._filled = asyncio.Event()
        self._dropped = 0

    def put(self, item: T) -> None:
        """Add an item; the oldest one goes when there are a thousand."""
        if len(self._pending) >= _MAX_PENDING:
            self._pending.popleft()
            self._dropped += 1
        self._pending.append((self._clock.now(), item))
        self._filled.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        attempt = 0
        while True:
            await self._filled.wait()
            since, item = self._pending[0]
            try:
                await self._send(item)
            except DeliveryError as exc:
                attempt += 1
                if not exc.lasting and self._clock.now() - since < self._give_up:
                    await asyncio.sleep(_RETRY.delay(attempt, self._chance))
                    continue
                dropped, self._dropped = self._dropped, 0
                more = f" (and {dropped} before it)" if dropped else ""
                await self._on_lost(f"not delivered{more}: {exc}")
            attempt = 0
            self._remove(item)

    async def flush(self) -> None:
        """One last attempt for each pending item, up to the first that fails."""
        with contextlib.suppress(DeliveryError):
            while self._pending:
                item = self._pending[0][1]
                await self._send(item)
                self._remove(item)

    def _remove(self, item: T) -> None:
        if self._pending and self._pending[0][1] is item:  # it may have been dropped meanwhile
            self._pending.popleft()
        if not self._pending:
            self._filled.clear()
