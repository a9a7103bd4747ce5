"""[dash] and [hub] of chapiteau.toml."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from chapiteau.core.fields import Duration, setting
from chapiteau.core.problems import Problem
from chapiteau.io.notifier import SmtpServer
from chapiteau.io.secret_file import SecretRef

__all__ = [
    "Dash",
    "FleetAlerts",
    "FleetSilence",
    "FleetTarget",
    "HubSettings",
    "Nats",
    "Oidc",
    "alert_problems",
    "is_loopback",
    "settings_problems",
]


# [hub.alerts] of chapiteau.toml.


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTarget:
    """Who hears of problems: a web address or mail addresses, and of which."""

    url: str = setting("", help="POST the notice here as JSON (chat webhooks take it too).")
    headers: dict[str, str | SecretRef] = setting(
        factory=dict, help="More request headers; a value may be a secret."
    )
    mail: tuple[str, ...] = setting((), help="Send it to these addresses; needs `smtp`.")
    least: Literal["degraded", "broken"] = setting("degraded", help="Tell what is at least so bad.")
    kinds: tuple[str, ...] = setting(
        ("*",), help="Kinds of problems, or globs.", example='kinds = ["down", "loop", "disk"]'
    )
    nodes: tuple[str, ...] = setting(("*",), help="Names or globs of nodes.")
    services: tuple[str, ...] = setting(
        ("*",), help="Names or globs of services. What concerns a whole node passes with * alone."
    )
    resolved: bool = setting(True, help="Tell when the problem is over, too.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSilence:
    """Problems that nobody shall hear of."""

    nodes: tuple[str, ...] = setting(("*",), help="Names or globs of nodes.")
    services: tuple[str, ...] = setting(("*",), help="Names or globs of services.")
    kinds: tuple[str, ...] = setting(("*",), help="Kinds of problems, or globs.")
    until: str = setting("", help='Only until this moment: "2026-12-01T06:00". Default: always.')


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAlerts:
    """[hub.alerts] — tell people and programs of the fleet's problems, once."""

    to: dict[str, FleetTarget] = setting(
        factory=dict, help="Who hears of it, by a name of yours: [hub.alerts.to.NAME]."
    )
    silence: tuple[FleetSilence, ...] = setting((), help="Problems that nobody hears of.")
    hold: Duration = setting("30s", help="Tell what lasts for so long; what is shorter is noise.")
    repeat: Duration = setting("4h", help="A problem that goes on is told again after this.")
    timeout: Duration = setting("10s", help="One delivery may take this long.")
    give_up: Duration = setting("1h", help="A notice that can't be delivered for so long is lost.")
    smtp: SmtpServer = setting(factory=SmtpServer, help="The mail server.")


def alert_problems(alerts: FleetAlerts) -> Iterator[Problem]:
    """What fields alone can't tell."""
    for name, target in alerts.to.items():
        where = f"hub.alerts.to.{name}"
        if bool(target.url) == bool(target.mail):
            yield Problem(where, "either url or mail", 'url = "https://…" or mail = ["…"]')
        elif target.url and not target.url.startswith(("https://", "http://")):
            yield Problem(f"{where}.url", "not http:// or https://", "")
    for number, silence in enumerate(alerts.silence):
        try:
            datetime.fromisoformat(silence.until or "2026-01-01")
        except ValueError:
            yield Problem(f"hub.alerts.silence.{number}.until", "no moment", '"2026-12-01T06:00"')


_LOOPBACK: Final = ("localhost", "127.", "::1", "[::1]")


_ROLES: Final = ("viewer", "operator", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """[dash.oidc] — log in with the team's identity provider (OpenID Connect)."""

    issuer: str = setting(
        "",
        help="The provider. Empty: nobody logs in that way.",
        example='issuer = "https://login.example.org/realms/team"',
    )
    client: str = setting("", help="Our client id at the provider.")
    secret_file: str = setting("", help="File with the client's secret; relative to the file.")
    redirect: str = setting(
        "",
        help="The page's public address, where people come back to. Default: as they asked for it.",
        example='redirect = "https://ops.example.org"',
    )
    claim: str = setting("groups", help="Which claim names somebody's groups.")
    roles: dict[str, str] = setting(
        factory=dict,
        help="Group → viewer, operator or admin. Who is in none of them is refused.",
        example='roles = { ops = "admin", developers = "operator" }',
    )
    label: str = setting("single sign-on", help="What the button on the page says.")

    def problems(self) -> list[Problem]:
        """What is missing, or would give the login away."""
        if not self.issuer:
            return []
        found = []
        if not self.issuer.startswith("https://") and not is_loopback(_host_of(self.issuer)):
            found.append(Problem("dash.oidc.issuer", "must be https://, beyond loopback"))
        if not self.client:
            found.append(Problem("dash.oidc.client", "is needed", "the provider gave us an id"))
        if not self.roles:
            found.append(Problem("dash.oidc.roles", "is empty: nobody could log in"))
        for group, role in self.roles.items():
            if role not in _ROLES:
                found.append(
                    Problem(f"dash.oidc.roles.{group}", f"{role!r} is no role", ", ".join(_ROLES))
                )
        return found


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dash:
    """[dash] — the page in the browser."""

    enable: bool = setting(False, help="Start the dashboard beside the supervisor.")
    host: str = setting("127.0.0.1", help="Address to listen on. Beyond loopback needs TLS.")
    port: int = setting(
        8800, help="Port; when it is taken, the next free one is used.", low=0, high=65535
    )
    names: tuple[str, ...] = setting(
        (),
        help="Host names under which people reach the page, beside its address.",
        example='names = ["ops.example.org"]',
    )
    proxies: tuple[str, ...] = setting(
        ("127.0.0.1", "::1"),
        help="Addresses of proxies in front, whose X-Forwarded-For says where a login comes from.",
        example='proxies = ["10.0.0.2"]',
    )
    cert: str = setting("", help="PEM file with the certificate chain; relative to the file.")
    key: str = setting("", help="PEM file with the certificate's key.")
    history: Duration = setting(
        "10m",
        help="How much CPU and memory history is kept for charts; 0 samples only when watched.",
    )
    session_idle: Duration = setting(
        "12h", help="A session ends after this time without a request."
    )
    session_max: Duration = setting("7d", help="A session ends after this time in any case.")
    oidc: Oidc = setting(factory=Oidc, help="Log in with an identity provider.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nats:
    """[hub.nats] — meet the nodes at a NATS server: several hubs, of which one leads."""

    url: str = setting(
        "",
        help="The server, or several with commas. Empty: nodes dial this hub itself.",
        example='url = "tls://nats.example.org:4222"',
    )
    monitor: str = setting(
        "", help="http://HOST:PORT where the server shows its settings; without it it is refused."
    )
    creds: str = setting("", help="File with this hub's credentials; relative to the file.")
    ca: str = setting("", help="PEM file with the CA of the server's certificate.")
    cert: str = setting(
        "", help="PEM file with this hub's certificate, where the server asks for one."
    )
    key: str = setting("", help="PEM file with that certificate's key.")
    prefix: str = setting("chapiteau", help="First words of every subject; one per fleet.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """[hub] — let other servers join this dashboard."""

    enable: bool = setting(False, help="Listen for nodes beside the dashboard.")
    host: str = setting("::", help="Address to listen on for nodes (TLS 1.3); :: is all.")
    port: int = setting(8843, help="Port to listen on for nodes.", low=0, high=65535)
    address: str = setting(
        "",
        help="How nodes reach this server: host:port. Default: its host name and the port.",
        example='address = "ops.example.org:8843"',
    )
    certificates: Duration = setting(
        "30d",
        help="How long a node's certificate is good; it is renewed after a third of that. A node"
        " that was away for longer has to join again.",
        low=10,
    )
    own_certificate: Duration = setting(
        "365d",
        help="How long the hub's certificate for its nodes is good; renewed after a third.",
        low=10,
    )
    metrics_token: SecretRef | None = setting(
        None,
        help="Who shows it as `Authorization: Bearer …` may read /metrics without a session.",
        example='metrics_token = { file = "secrets/metrics-token" }',
    )
    alerts: FleetAlerts = setting(factory=FleetAlerts, help="Who hears of the fleet's problems.")
    nats: Nats = setting(factory=Nats, help="A NATS server between hubs and nodes.")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    return host.startswith(_LOOPBACK)


def settings_problems(dash: Dash, *, has_accounts: bool) -> list[Problem]:
    """Why these settings must not be served as they are."""
    found = dash.oidc.problems()
    if bool(dash.cert) != bool(dash.key):
        found.append(Problem("dash", "cert and key belong together", "give both, or none"))
    if is_loopback(dash.host):
        return found
    if not dash.cert:
        found.append(
            Problem(
                "dash.host",
                f"{dash.host} is reachable from outside, and there is no TLS",
                'set dash.cert and dash.key, or keep host = "127.0.0.1" behind a proxy or ssh -L',
            )
        )
    if not has_accounts and not dash.oidc.issuer:
        found.append(
            Problem(
                "dash.host",
                f"{dash.host} is reachable from outside, and nobody has an account",
                "make one: chapiteau dash user add NAME --role admin",
            )
        )
    return found
