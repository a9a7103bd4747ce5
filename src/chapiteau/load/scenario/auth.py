"""Ways to log in: what they send stays on the session, for every request that follows.

from chapiteau.load import auth
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chapiteau.load.engine.session import Session

__all__ = ["basic", "bearer", "client_credentials", "form_login"]

_EARLY: Final = 30.0  # seconds before its end at which a token is asked for anew


def basic(session: Session, user: str, password: str) -> None:
    """Name and password with every request (RFC 7617)."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    session.headers["Authorization"] = f"Basic {pair}"


def bearer(session: Session, token: str) -> None:
    """A token with every request (RFC 6750)."""
    session.headers["Authorization"] = f"Bearer {token}"


@dataclass(slots=True)
class _Token:
    text: str
    ends: float


async def client_credentials(
    session: Session, url: str, *, client: str, secret: str, scope: str = ""
) -> str:
    """A token by OAuth 2.0 client credentials (RFC 6749, 4.4), with every request from now on.

    A user asks for a new one only when the last is about to end, so call it at the beginning of
    each session. Raises LookupError when there is none in the answer.
    """
    key = f"token of {client} from {url}"
    known = session.state.get(key)
    if isinstance(known, _Token) and known.ends > session.now():
        bearer(session, known.text)
        return known.text
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    pair = base64.b64encode(f"{client}:{secret}".encode()).decode()
    answer = await session.post(
        url, data=form, headers={"Authorization": f"Basic {pair}"}, name="token"
    )
    token = str(answer.pick("access_token"))
    seconds = float(answer.pick("expires_in", 3600))
    session.state[key] = _Token(token, session.now() + max(0.0, seconds - _EARLY))
    bearer(session, token)
    return token


async def form_login(
    session: Session, url: str, fields: Mapping[str, str], *, action: str = "", form: int = 0
) -> None:
    """Log in by a page's form: hidden fields (a CSRF token) are sent along, cookies stay.

    Raises LookupError when the page has no form.
    """
    page = await session.get(url)
    await session.post(action or url, data={**page.form(form), **fields})
