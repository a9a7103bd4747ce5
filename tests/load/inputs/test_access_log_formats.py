"""Logs of load balancers, and logs that name their columns."""

from __future__ import annotations

import pytest

from chapiteau.core.problems import InvalidInputError
from chapiteau.load.inputs.access_log import read_access_log

AWS = (
    "https 2026-11-25T22:23:0{n}.186641Z app/front/50dc6c495c0c9188 192.0.2.39:2817 {to} {times} "
    '{status} {status} 0 57 "{request} HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    'arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/7 "Root=1-5" "www.example.org" "-" 1 '
    '2026-11-25T22:23:00.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"\n'
)
HAPROXY = (
    "Nov 25 10:00:00 lb haproxy[14389]: 192.0.2.2:33317 [25/Nov/2026:10:00:00.{part}] in~ web/one "
    '10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {{example.org}} {{}} "GET {path} HTTP/1.1"\n'
)


def seen(text: str) -> list[tuple[float, str, str]]:
    return [(v.at, v.request.method, v.request.url) for v in read_access_log(text).visits]


def test_a_balancer_of_aws() -> None:
    good = AWS.format(
        n=0, to="10.0.0.1:80", times="0.086 0.048 0.037", status=200,
        request="GET https://www.example.org:443/path?x=1",
    )  # fmt: skip
    refused = AWS.format(
        n=2, to="-", times="-1 -1 -1", status="503", request="GET http://www.example.org:80/p"
    )
    log = read_access_log(good + refused.replace("503 503", "503 -"))

    assert [(v.at, v.request.url) for v in log.visits] == [(0.0, "/path?x=1"), (2.0, "/p")]
    assert ("User-Agent", "curl/7.46.0") in log.visits[0].request.headers


def test_haproxy_with_parts_of_seconds() -> None:
    text = HAPROXY.format(part="250", path="/a") + HAPROXY.format(part="750", path="/b?c=1")

    assert seen(text) == [(0.0, "GET", "/a"), (0.5, "GET", "/b?c=1")]


@pytest.mark.parametrize("gap", ["\t", " "])
def test_columns_that_a_log_names(gap: str) -> None:
    rows = [
        ["2026-11-25", "10:00:00", "GET", "/index.html", "a=1", "200", "Mozilla/5.0+(X11)"],
        ["2026-11-25", "10:00:03", "HEAD", "/x", "-", "304", "-"],
    ]
    text = "#Version: 1.0\n#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status "
    text += "cs(User-Agent)\n" + "\n".join(gap.join(row) for row in rows)
    log = read_access_log(text)

    assert seen(text) == [(0.0, "GET", "/index.html?a=1"), (3.0, "HEAD", "/x")]
    assert log.visits[0].request.headers == (("User-Agent", "Mozilla/5.0 (X11)"),)
    assert log.visits[1].request.headers == ()


@pytest.mark.parametrize("text", ["#Fields: date time\n2026-11-25 10:00:00", "[x] y z\n"])
def test_lines_that_say_no_request_are_told(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is no line of a log"):
        read_access_log(text)
