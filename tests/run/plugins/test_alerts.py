"""Who is told of which trouble, how often, and when it is over."""

from __future__ import annotations

from typing import Any

from chapiteau.core.fields import read
from chapiteau.run.config.plugin_settings import AlertOptions
from chapiteau.run.events import Event
from chapiteau.run.plugins.alerts import AlertRouter, Notification, mail_text, webhook_payload


def router(**raw: Any) -> AlertRouter:
    raw.setdefault("to", {"chat": {"url": "http://x"}})
    rule, problems = read(AlertOptions, raw)
    assert rule is not None, problems
    return AlertRouter(rule, "alerts")


def event(kind: str, time: float = 0.0, service: str = "web", **data: Any) -> Event:
    return Event(seq=1, time=time, kind=kind, service=service, data=data)


def told(found: Any) -> list[tuple[str, str]]:
    return [(n.target, n.status) for n in found]


def test_the_same_trouble_is_told_once_and_again_after_a_while() -> None:
    route = router(repeat="100s")
    assert told(route.route(event("service.failed"))) == [("chat", "firing")]
    assert told(route.route(event("service.failed", 50))) == []
    (again,) = route.route(event("service.failed", 101))
    assert (again.count, again.since) == (2, 0.0)


def test_its_end_is_told_to_those_who_heard_of_it() -> None:
    route = router()
    assert told(route.route(event("service.ready"))) == []
    list(route.route(event("service.failed")))
    assert told(route.route(event("service.ready", service="other"))) == []
    assert told(route.route(event("service.recovered"))) == [("chat", "resolved")]
    assert told(route.route(event("service.ready"))) == []


def test_what_somebody_took_down_is_not_resolved() -> None:
    route = router()
    list(route.route(event("service.failed")))
    assert told(route.route(event("service.stopping"))) == []
    assert told(route.route(event("service.ready"))) == []


def test_each_target_hears_of_its_own_services_and_kinds() -> None:
    route = router(
        to={
            "a": {"url": "http://x", "services": ["shop*"]},
            "b": {"mail": ["x@y"], "kinds": ["service.*"], "resolved": False},
        }
    )
    assert told(route.route(event("service.failed"))) == [("b", "firing")]
    assert told(route.route(event("service.failed", service="shop-1"))) == [
        ("a", "firing"),
        ("b", "firing"),
    ]
    assert told(route.route(event("service.recovered", service="shop-1")))[0] == ("a", "resolved")


def test_a_silence_ends_at_its_moment() -> None:
    route = router(silence=[{"services": ["web"], "until": "2020-01-01T00:00"}])
    assert told(route.route(event("service.failed", 0))) == []
    assert told(route.route(event("service.failed", 2e9))) == [("chat", "firing")]
    assert told(router(silence=[{}]).route(event("service.failed", 2e9))) == []


def test_a_plugin_resolves_its_own_complaint_and_our_own_words_are_not_told() -> None:
    route = router()
    assert told(route.route(event("plugin.message", plugin="shop"))) == [("chat", "firing")]
    assert told(route.route(event("plugin.message", plugin="shop", resolved=True))) == [
        ("chat", "resolved")
    ]
    assert told(route.route(event("plugin.message", plugin="alerts"))) == []


def test_what_is_sent_says_where_and_what() -> None:
    what = Event(
        seq=9, time=60.0, kind="service.failed", service="web", text="exit 3",
        data={"code": 3, "lines": ["no table users"]},
    )  # fmt: skip
    notice = Notification(target="chat", status="firing", event=what, since=0.0)
    body = webhook_payload(notice, "shop", "atlas")
    assert body["text"] == "[shop] web: service.failed exit 3"
    assert body["event"]["seq"] == 9
    text = mail_text(notice, "shop", "atlas")
    assert "code: 3" in text
    assert text.endswith("\nno table users\n")
    over = Notification(target="chat", status="resolved", event=what, since=0.0)
    assert (
        webhook_payload(over, "s", "n")["text"]
        == "[s] web: resolved after 60 s: service.failed exit 3"
    )


def test_an_end_that_was_wanted_is_no_trouble() -> None:
    route = router(to={"ops": {"mail": ["x@y"], "kinds": ["process.exited"]}})
    assert told(route.route(event("process.exited", code=0))) == []
    assert told(route.route(event("process.exited", code=1, asked=True))) == []
    assert told(route.route(event("process.exited", signal=9))) == [("ops", "firing")]


def test_a_second_flapping_is_told_though_the_first_was_a_moment_ago() -> None:
    route = router()
    kind = "plugin.message"
    assert told(route.route(event(kind, 0, text="stopped for 6 s"))) == [("chat", "firing")]
    assert told(route.route(event("service.stopping", 1))) == []
    assert told(route.route(event(kind, 7, resolved=True))) == []  # it is tried again
    assert told(route.route(event(kind, 9))) == [("chat", "firing")]  # stopped for good
