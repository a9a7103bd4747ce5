"""Cross-origin requests (fetch standard): who may read, and what a preflight is told."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["CorsPolicy", "allow_origin", "cors_headers", "preflight_headers"]

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """Which other sites' pages may use an operation.

    `origins` may hold wildcards (`https://*.example.org`); `headers` are those that pages may send
    beside the ones that the operation itself reads (none: any); `expose` those that they may read;
    `max_age` is in seconds (None: the browser's own, 5 s). With `private_network` pages of the
    public internet may reach a service in a private one, as far as browsers ask for that by
    preflight (`Access-Control-Request-Private-Network`).
    """

    origins: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int | None = None
    private_network: bool = False


def allow_origin(policy: CorsPolicy, origin: str) -> str | None:
    """The value of Access-Control-Allow-Origin, or None: this page may not read the answer."""
    if "*" in policy.origins and not policy.credentials:
        return "*"
    if any(fnmatch.fnmatchcase(origin.lower(), allowed.lower()) for allowed in policy.origins):
        return origin
    return None


def cors_headers(policy: CorsPolicy, origin: str | None) -> Headers:
    """Headers for an actual answer.

    `Vary: Origin` goes out whenever the answer could differ by origin, also without an Origin
    header: a shared cache must not give one page's answer to another.
    """
    found: Headers = []
    if not ("*" in policy.origins and not policy.credentials):
        found.append(("Vary", "Origin"))
    if origin is None:
        return found
    allowed = allow_origin(policy, origin)
    if allowed is None:
        return found
    found.append(("Access-Control-Allow-Origin", allowed))
    if policy.credentials:
        found.append(("Access-Control-Allow-Credentials", "true"))
    if policy.expose:
        found.append(("Access-Control-Expose-Headers", ", ".join(policy.expose)))
    return found


def preflight_headers(
    policy: CorsPolicy,
    *,
    origin: str,
    asked: str | None,
    methods: tuple[str, ...],
    read: Iterable[str] = (),
    private: bool = False,
) -> Headers:
    """Headers for an OPTIONS with Access-Control-Request-Method.

    `asked` is Access-Control-Request-Headers, `read` what the operation itself reads. With no
    `headers` in the policy every header asked for is allowed; names come back in alphabetical
    order, so that caches see equal answers. A method that is not among `methods` is not allowed,
    and the page is told which are. `private`: the page is outside, and we in a private network.
    """
    found: Headers = [
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
    ]
    allowed = allow_origin(policy, origin)
    if allowed is None:
        return found
    found.append(("Access-Control-Allow-Origin", allowed))
    if policy.credentials:
        found.append(("Access-Control-Allow-Credentials", "true"))
    found.append(("Access-Control-Allow-Methods", ", ".join(methods)))
    if policy.headers:
        names = sorted({name.lower(): name for name in (*read, *policy.headers)}.values())
    else:
        names = sorted({name.strip() for name in (asked or "").split(",") if name.strip()})
    if names:
        found.append(("Access-Control-Allow-Headers", ", ".join(names)))
    if policy.max_age is not None:
        found.append(("Access-Control-Max-Age", str(policy.max_age)))
    if private and policy.private_network:
        found.append(("Access-Control-Allow-Private-Network", "true"))
    return found
