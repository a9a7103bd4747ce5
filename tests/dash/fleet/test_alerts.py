"""Who hears what, how often, and when it is over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.fleet.alerts import AlertEvaluator, mail_text, payload, title
from chapiteau.dash.fleet.problem import FleetProblem, remedy
from chapiteau.dash.settings import FleetAlerts, FleetSilence, FleetTarget, alert_problems


def problem(kind: str = "down", node: str = "n1", **more: Any) -> FleetProblem:
    given_more = {"severity": 2, "what": f"{kind}!", "service": "web", **more}
    return FleetProblem(key=f"{node}/{kind}", kind=kind, node=node, **given_more)


def rule(silence: tuple[FleetSilence, ...] = (), **to: FleetTarget) -> FleetAlerts:
    return FleetAlerts(
        to=to or {"chat": FleetTarget(url="https://x/")}, silence=silence, hold=30, repeat=600
    )


def told(
    man: AlertEvaluator, problems: list[FleetProblem], *times: float
) -> list[tuple[float, str, str]]:
    return [(t, n.target, n.status) for t in times for n in man.see(problems, t)]


def test_what_lasts_is_told_once_and_again_after_a_while() -> None:
    man = AlertEvaluator(rule())
    assert told(man, [problem()], 0, 10, 29) == []
    assert told(man, [problem()], 30, 40, 600) == [(30, "chat", "firing")]
    (again,) = man.see([problem()], 630)
    assert again.count == 2
    assert again.since == 0


def test_what_is_short_is_never_told() -> None:
    man = AlertEvaluator(rule())
    assert told(man, [problem()], 0, 20) == []
    assert told(man, [], 25, 100) == []
    assert man.open == []


def test_its_end_is_told_when_it_stays_away() -> None:
    man = AlertEvaluator(rule())
    told(man, [problem()], 0, 30)
    assert told(man, [], 40, 69) == []
    assert told(man, [problem()], 70) == []  # it flaps: still the same problem
    assert told(man, [], 80, 109, 110, 200) == [(110, "chat", "resolved")]


def test_routes() -> None:
    man = AlertEvaluator(
        rule(
            broken=FleetTarget(url="https://x/", least="broken"),
            disks=FleetTarget(mail=("a@example.org",), kinds=("disk",)),
            web=FleetTarget(url="https://x/", nodes=("web-*",), resolved=False),
            pay=FleetTarget(url="https://x/", services=("pay",)),
        )
    )
    problems = [
        problem("disk", "web-1", severity=1, service=""),
        problem("down", "db-1"),
        problem("unready", "web-2", severity=1),
    ]
    found = {(target, status) for _, target, status in told(man, problems, 0, 30)}
    assert found == {("broken", "firing"), ("disks", "firing"), ("web", "firing")}
    over = told(man, [], 40, 70)
    assert sorted(target for _, target, _ in over) == ["broken", "disks"]


def test_silence_and_its_end() -> None:
    silent = (FleetSilence(nodes=("n1",)), FleetSilence(kinds=("disk",), until="1970-01-02"))
    man = AlertEvaluator(rule(silence=silent))
    assert told(man, [problem(), problem("disk", "n2")], 0, 30) == []
    assert len(told(man, [problem(), problem("disk", "n2")], 3 * 86_400)) == 1


def test_a_hub_that_is_started_anew_tells_nothing_twice() -> None:
    man = AlertEvaluator(rule())
    told(man, [problem()], 0, 30)
    after = AlertEvaluator(rule(), man.open)
    assert told(after, [problem()], 40, 50) == []
    assert told(after, [], 60, 90) == [(90, "chat", "resolved")]


@given(st.lists(st.booleans(), max_size=60))
def test_firing_and_resolved_take_turns(there: list[bool]) -> None:
    man = AlertEvaluator(FleetAlerts(to={"chat": FleetTarget(url="x")}, hold=2, repeat=1e9))
    said = [
        notice.status
        for second, yes in enumerate(there)
        for notice in man.see([problem()] if yes else [], float(second))
    ]
    assert said == [("firing", "resolved")[number % 2] for number in range(len(said))]


def test_what_is_said() -> None:
    man = AlertEvaluator(rule())
    one = problem(
        what="failed: exit 1",
        cause="no redis",
        lines=("a", "b"),
        remedies=(remedy("start", "web"),),
    )
    man.see([one], 0)
    (notice,) = man.see([one], 30)
    assert title(notice, "shop") == "[shop] n1/web: failed: exit 1"
    body = payload(notice, "shop")
    assert (body["status"], body["kind"], body["severity"]) == ("firing", "down", "broken")
    assert body["commands"] == ["chapiteau start web"]
    text = mail_text(notice, "shop")
    assert "no redis" in text
    assert "  chapiteau start web" in text
    man.see([], 40)
    (over,) = man.see([], 70)
    assert title(over, "shop") == "[shop] n1/web: resolved after 70 s: failed: exit 1"


def test_settings_that_can_not_be() -> None:
    bad = FleetAlerts(
        to={"a": FleetTarget(), "b": FleetTarget(url="ftp://x"), "c": FleetTarget(mail=("a@b",))},
        silence=(FleetSilence(until="soon"),),
    )
    assert [p.where for p in alert_problems(bad)] == [
        "hub.alerts.to.a",
        "hub.alerts.to.b.url",
        "hub.alerts.silence.0.until",
    ]
