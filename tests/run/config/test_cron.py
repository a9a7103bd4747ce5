"""When a scheduled service runs next."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.config.cron import next_run, parse_schedule

MONDAY = datetime(2026, 1, 5, 12, 30, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("* * * * *", "2026-01-05 12:31", id="every minute"),
        pytest.param("*/15 * * * *", "2026-01-05 12:45", id="every quarter"),
        pytest.param("30 12 * * *", "2026-01-06 12:30", id="this minute has begun already"),
        pytest.param("0 9-17/4 * * *", "2026-01-05 13:00", id="a span with steps"),
        pytest.param("0 0 1 * *", "2026-02-01 00:00", id="first of the month"),
        pytest.param("0 0 29 feb *", "2028-02-29 00:00", id="leap day"),
        pytest.param("0 0 * * sun", "2026-01-11 00:00", id="by the day's name"),
        pytest.param("0 0 * * 7", "2026-01-11 00:00", id="7 is Sunday too"),
        pytest.param("0 0 13 * 5", "2026-01-09 00:00", id="either day field may match"),
        pytest.param("0 0 */2 * 1", "2026-01-19 00:00", id="a starred day field must match"),
        pytest.param("5,50 12,18 * * *", "2026-01-05 12:50", id="lists"),
        pytest.param("@daily", "2026-01-06 00:00", id="daily"),
        pytest.param("@Yearly", "2027-01-01 00:00", id="yearly, in any case"),
    ],
)
def test_next_run(line: str, expected: str) -> None:
    assert parse_schedule(line).next_after(MONDAY).strftime("%Y-%m-%d %H:%M") == expected


def test_every_counts_from_now() -> None:
    assert (parse_schedule("@every 1m30s").next_after(MONDAY) - MONDAY).total_seconds() == 90


@pytest.mark.parametrize(
    "line",
    [
        *("", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("5-1 * * * *", "*/0 * * * *", "*/x * * * *", "a * * * *", "1- * * * *", "@never"),
        *("0 0 30 2 *", "0 0 31 4,6 *", "@every", "@every 0s"),
    ],
)
def test_bad_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — the words differ
        parse_schedule(line)


@given(
    st.sampled_from(
        ["* * * * *", "*/7 3-9 * * *", "0 0 1,15 * *", "30 4 * * mon-fri", "0 0 29 2 *"]
    ),
    st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001
)
def test_the_next_run_is_later_and_the_one_before_it_is_not_skipped(
    line: str, moment: datetime
) -> None:
    schedule = parse_schedule(line)
    found = schedule.next_after(moment)
    assert found > moment
    assert (found.second, found.microsecond) == (0, 0)
    just_before = found.replace(microsecond=0) - (found - moment) / 2
    assert schedule.next_after(just_before) == found


# As POSIX's rule: that needs no database. Forward on 2026-03-29, 02:00, back on 2026-10-25, 03:00.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", BERLIN)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("line", "now", "expected"),
    [
        pytest.param("15 3 * * *", "03-28 03:15", "03-29 03:15+0200", id="the day before forward"),
        pytest.param("30 2 * * *", "03-28 02:30", "03-29 03:30+0200", id="in the hour left out"),
        pytest.param("0 * * * *", "03-29 01:00", "03-29 03:00+0200", id="hourly, forward"),
        pytest.param("15 3 * * *", "10-24 03:15", "10-25 03:15+0100", id="the day before back"),
        pytest.param(
            "30 2 * * *", "10-24 02:30", "10-25 02:30+0200", id="in the hour that is twice"
        ),
        pytest.param("30 2 * * *", "10-25 02:30", "10-26 02:30+0100", id="and not in its second"),
        pytest.param("*/30 * * * *", "10-25 02:30", "10-25 02:00+0100", id="half-hourly, back"),
    ],
)
def test_next_run_when_clocks_are_changed(line: str, now: str, expected: str) -> None:
    began = datetime.fromisoformat(f"2026-{now}").timestamp()
    due = datetime.fromtimestamp(next_run(parse_schedule(line), began), UTC).astimezone()
    assert due.strftime("%m-%d %H:%M%z") == expected


@pytest.mark.usefixtures("in_berlin")
def test_a_start_in_the_second_of_two_hours_waits_for_its_time() -> None:
    began = datetime.fromisoformat("2026-10-25 02:10").replace(fold=1).timestamp()
    assert next_run(parse_schedule("30 2 * * *"), began) - began == 20 * 60
