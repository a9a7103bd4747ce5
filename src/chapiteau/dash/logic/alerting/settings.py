"""[hub.alerts] of chapiteau.toml."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chapiteau.core.fields import Duration, setting
from chapiteau.core.problems import Problem
from chapiteau.run.logic.plugins.settings import Mail
from chapiteau.run.logic.spec import SecretRef

__all__ = ["FleetAlerts", "FleetSilence", "FleetTarget", "alert_problems"]


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
    smtp: Mail = setting(factory=Mail, help="The mail server.")


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
