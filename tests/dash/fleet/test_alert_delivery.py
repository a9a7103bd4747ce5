"""Notices that arrive: at a real web server and a real mail server, in spite of bad moments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.fleet.alert_delivery import AlertDispatcher, AlertStore, SecretContext
from chapiteau.dash.fleet.problem import FleetProblem, remedy
from chapiteau.dash.settings import FleetAlerts, FleetTarget
from chapiteau.io.clock import SystemClock
from chapiteau.run.config.plugin_settings import SmtpServer
from chapiteau.run.config.spec import SecretRef
from tests.run.plugins.receivers import MailServer, WebServer, served
from tests.support import wait_for_async

DOWN = FleetProblem(
    key="n1/web/down",
    kind="down",
    severity=2,
    node="n1",
    service="web",
    what="failed: exit 1",
    cause="no redis",
    lines=("Traceback", "ModuleNotFoundError: redis"),
    remedies=(remedy("start", "web"),),
)


def rule(**more: Any) -> FleetAlerts:
    return FleetAlerts(**{"hold": 0.0, "repeat": 1e9, "timeout": 5.0, "give_up": 60.0, **more})


class House:
    """A postman whose fleet is a list."""

    def __init__(self, folder: Path, rule: FleetAlerts) -> None:
        self.problems: list[FleetProblem] = []
        self.lost: list[tuple[str, str]] = []
        self.alerts = AlertDispatcher(
            rule,
            AlertStore(folder / "hub.sqlite3"),
            lambda: self.problems,
            SecretContext(project="shop", folder=folder, environ={"TOKEN": "word"}),
            lost=lambda name, why: self.lost.append((name, why)),
            clock=SystemClock(),
            chance=Random(1),
        )


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chapiteau.dash.fleet.alert_delivery.POLL", 0.02)


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    with served(WebServer()) as server:
        yield server


async def test_a_chat_hears_it_once_and_its_end(tmp_path: Path, web: WebServer) -> None:
    web.statuses = [503, 200]
    headers = {"Authorization": SecretRef(env="TOKEN")}
    told = rule(to={"chat": FleetTarget(url=web.url, headers=headers)}, hold=0.05)
    house = House(tmp_path, told)
    house.problems = [DOWN]
    house.alerts.open()
    await wait_for_async(lambda: len(web.posted) >= 2, what="the second try arrives")
    sent, body = web.posted[-1]
    assert sent["Authorization"] == "word"
    assert body["text"] == "[shop] n1/web: failed: exit 1"
    assert (body["status"], body["severity"], body["lines"][0]) == (
        "firing",
        "broken",
        "Traceback",
    )
    await house.alerts.close()
    # The hub is started anew in between: the end is told, the beginning not again.
    again = House(tmp_path, told)
    again.alerts.open()
    await wait_for_async(lambda: len(web.posted) >= 3, what="its end")
    assert web.posted[-1][1]["status"] == "resolved"
    await again.alerts.close()
    assert again.lost == house.lost == []


async def test_people_hear_it_by_mail(tmp_path: Path) -> None:
    with served(MailServer()) as server:
        smtp = SmtpServer(host="127.0.0.1", port=server.server_address[1], sender="hub@example.org")
        target = FleetTarget(mail=("ops@example.org", "b@example.org"))
        house = House(tmp_path, rule(to={"night": target}, hold=0.0, smtp=smtp))
        house.problems = [DOWN]
        house.alerts.open()
        await wait_for_async(lambda: server.mails)
        await house.alerts.close()
    to, text = server.mails[0]
    assert len(to) == 2
    assert "Subject: [shop] n1/web: failed: exit 1" in text
    assert "chapiteau start web" in text


async def test_an_address_that_refuses_holds_up_nobody_and_is_told(
    tmp_path: Path, web: WebServer
) -> None:
    with served(WebServer()) as gone:
        gone.statuses = [404]
        to = {"a": FleetTarget(url=gone.url), "b": FleetTarget(url=web.url)}
        house = House(tmp_path, rule(to=to, hold=0.0))
        house.problems = [DOWN]
        house.alerts.open()
        await wait_for_async(lambda: web.posted and house.lost)
        await house.alerts.close()
    ((name, why),) = house.lost
    assert name == "a"
    assert "404" in why


@pytest.mark.parametrize(
    ("ref", "error"),
    [(SecretRef(env="NONE"), NotFoundError), (SecretRef(file="wide"), RefusedError)],
)
def test_a_secret_that_can_not_be_had_is_told_at_the_start(
    tmp_path: Path, ref: Any, error: type[Exception]
) -> None:
    (tmp_path / "wide").write_text("x")
    (tmp_path / "wide").chmod(0o644)
    with pytest.raises(error):
        House(tmp_path, rule(smtp=SmtpServer(password=ref)))
