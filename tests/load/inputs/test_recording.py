"""HAR files, lists of URLs and access logs become requests worth sending."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import InvalidInputError
from chapiteau.load.inputs.access_log import read_access_log
from chapiteau.load.inputs.har import read_har, strip_responses
from chapiteau.load.inputs.reader import InputOptions, guess_format, read_input
from chapiteau.load.inputs.recording import accepted_statuses, read_urls
from chapiteau.load.scenario.flow import FlowRequest, FlowState
from chapiteau.load.workers.plan import DocumentOptions


def entry(url: str, start: str = "2026-01-01T10:00:00.000Z", **more: Any) -> dict[str, Any]:
    request = {"method": "GET", "url": url, "headers": [], **more.pop("request", {})}
    response = {"status": 200, "redirectURL": "", **more.pop("response", {})}
    return {"startedDateTime": start, "time": 100, "request": request, "response": response, **more}


def har(*entries: Any) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def requests(found: Any) -> tuple[FlowRequest, ...]:
    return found.flow.requests  # type: ignore[no-any-return]


def test_a_visit_is_sent_in_order_with_its_pauses_and_without_strangers() -> None:
    found = read_har(
        har(
            entry("https://s.example/login"),
            entry("https://cdn.example/x.js"),
            entry("data:image/png;base64,xx"),
            entry("https://s.example/cart#top", "2026-01-01T10:00:03.100Z"),
        )
    )
    assert [(r.url, r.think) for r in requests(found)] == [("/login", 0.0), ("/cart", 3.0)]
    assert found.base_url == "https://s.example"
    assert [p.where for p in found.problems] == ["https://cdn.example"]
    assert [
        r.think
        for r in requests(read_har(har(entry("http://h/"), entry("http://h/b")), pauses=False))
    ] == [0, 0]


def test_the_host_is_that_of_the_page_or_of_the_base() -> None:
    page = {"status": 200, "content": {"mimeType": "text/html; charset=utf-8"}}
    moved = {"status": 301, "redirectURL": "http://www/", "content": {"mimeType": "text/html"}}
    entries = [
        entry("http://tracker/a", response={"status": 200, "content": {"mimeType": "image/gif"}}),
        entry("http://h/", response=moved),
        entry("http://www/", response=page),
        entry("http://api/items"),
    ]
    text = har(*entries)
    titled = json.dumps({"log": {"pages": [{"title": "http://api/"}, 3], "entries": entries}})

    assert read_har(text).base_url == "http://www"
    assert read_har(text, base="http://api/v1").base_url == "http://api"
    assert read_har(text, base="http://127.0.0.1:1").base_url == "http://www"
    assert read_har(titled).base_url == "http://api"


def test_a_recording_without_its_answers_is_the_same_visit() -> None:
    content = {"mimeType": "text/html", "size": 9_000_000, "text": "x" * 100_000}
    text = har(
        entry("http://ad/", response={"status": 204}),
        entry("http://h/", response={"status": 200, "content": content, "headers": []}),
        entry("http://h/gone", "2026-01-01T10:00:03.000Z", response={"status": 404}),
    )
    slim = strip_responses(text)

    assert len(slim) < 2_000
    assert read_har(slim) == read_har(text)
    for other in ("", "[]", '{"log": 3}', '{"log": {"entries": [3]}}', '{"log": {"entries": {}}}'):
        assert strip_responses(other) in {other, '{"log":{"pages":null,"entries":[]}}'}


def posted(text: str, length: int, kind: str = "application/octet-stream") -> dict[str, Any]:
    """A body as Firefox writes it."""
    headers = [{"name": "Content-Type", "value": kind}]
    headers.append({"name": "Content-Length", "value": str(length)})
    data = {"mimeType": kind, "params": [], "text": text}
    return entry("http://h/up", request={"method": "POST", "headers": headers, "postData": data})


def test_bodies_of_firefox_are_the_bytes_that_went_out() -> None:
    form = 'multipart/form-data; boundary="--x"'
    upload = f"Content-Type: {form}\r\nContent-Length: 9\r\n\r\n----x--\r\n"
    found = read_har(
        har(
            posted("\0\x01ÀÁþÿ", 6),  # bytes that are no UTF-8
            posted("käse", 5, "text/plain"),  # text that is
            posted("Ā", 2),
            posted(upload, 9, form),
            posted("a: b\r\n\r\nc", 10, form),
            posted("half", 4_000_000),
        )
    )
    assert [r.body for r in requests(found)] == [
        b"\0\x01\xc0\xc1\xfe\xff",
        "käse".encode(),
        "Ā".encode(),
        b"----x--\r\n",
        b"a: b\r\n\r\nc",
        b"half",
    ]
    assert [(p.where, p.what) for p in found.problems] == [
        ("/log/entries/4", "its body had 10 bytes, and the recording has 9 of them"),
        ("/log/entries/5", "its body had 4000000 bytes, and the recording has 4 of them"),
    ]


def test_what_came_from_a_cache_never_reached_the_service() -> None:
    text = har(
        entry("http://h/", _fetchType="Network Load"),
        entry("http://h/a.css", _fetchType="Memory Cache"),  # Safari
        entry("http://h/b.css", _fromCache="disk"),  # Chrome
        entry("http://h/c.css", response={"status": 304}),
        "no entry",
    )
    found = read_har(text)
    assert [r.url for r in requests(found)] == ["/", "/c.css"]
    assert [(p.where, p.what) for p in found.problems] == [
        ("/log/entries/4", "has no request"),
        ("/log/entries", "2 requests that the browser's cache answered are left out"),
    ]
    slim = strip_responses(har(entry("http://h/"), entry("http://h/b", _fromCache="memory")))
    assert [r.url for r in requests(read_har(slim))] == ["/"]


def test_bodies_headers_and_refusals_are_kept_and_what_belongs_to_the_browser_is_not() -> None:
    noise = [
        {"name": n, "value": "x"}
        for n in ("Host", ":path", "Content-Length", "Cookie", "If-None-Match", "Accept-Encoding")
    ]
    wanted = [{"name": "Authorization", "value": "Bearer t"}]
    post = {"mimeType": "application/json", "text": '{"a":1}'}
    form = {
        "mimeType": "application/x-www-form-urlencoded",
        "params": [{"name": "a b", "value": "ü"}],
    }
    raw = {"mimeType": "application/octet-stream", "text": "AAE=", "encoding": "base64"}
    first, second, third = requests(
        read_har(
            har(
                entry(
                    "http://h/a",
                    request={"method": "POST", "headers": noise + wanted, "postData": post},
                ),
                entry(
                    "http://h/b",
                    request={"method": "POST", "postData": form},
                    response={"status": 422},
                ),
                entry("http://h/c", request={"method": "PUT", "postData": raw}),
            )
        )
    )
    assert first.headers == (("Authorization", "Bearer t"), ("Content-Type", "application/json"))
    assert first.body == b'{"a":1}'
    assert second.body == b"a+b=%C3%BC"
    assert {422, 200} <= second.expect  # refused then: that again, or a good answer
    assert 404 not in second.expect
    assert third.body == b"\x00\x01"


def test_what_a_redirect_led_to_is_not_sent_twice() -> None:
    found = read_har(
        har(
            entry("http://h/old", response={"status": 302, "redirectURL": "http://h/new"}),
            entry("http://h/new"),
            entry("http://h/next"),
        )
    )
    assert [r.url for r in requests(found)] == ["/old", "/next"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"log": {}}',
        '{"log": {"entries": []}}',
        '{"log": {"entries": [1, {}, {"request": {"url": 3}}]}}',
    ],
)
def test_what_is_no_har_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_har(text)


def test_lists_of_urls_have_methods_bodies_and_headers() -> None:
    found = read_urls(
        '# a remark\nhttp://h/a\n\nPOST http://h/b {"x": 1}\nX-Token: t\nPUT /c @f\n/d a=1\n',
        read_file=lambda path: path.encode(),
    )
    assert found.base_url == "http://h"
    assert [(r.method, r.url, r.body) for r in requests(found)] == [
        ("GET", "http://h/a", b""),
        ("POST", "http://h/b", b'{"x": 1}'),
        ("PUT", "/c", b"f"),
        ("POST", "/d", b"a=1"),
    ]
    assert requests(found)[1].headers == (("Content-Type", "application/json"), ("X-Token", "t"))


def test_every_bad_line_is_told_with_its_number() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_urls("http://h/\nnonsense\nFETCH\n", name="u.txt")
    assert [p.where for p in caught.value.problems] == ["u.txt:2", "u.txt:3"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("urls", "http://h/a?x=1\nhttp://other/b"),
        ("curl", "curl 'http://h/a?x=1'\ncurl http://other/b"),
        ("postman", '{"item": [{"request": "http://h/a?x=1"}, {"request": "http://other/b"}]}'),
    ],
)
def test_a_base_takes_the_place_of_the_first_host(kind: str, text: str) -> None:
    def urls(base: str) -> set[str]:
        flow = read_input(kind, text, options=InputOptions(base=base)).flow
        found = set()
        for seed in range(20):
            seen, chance = FlowState(), random.Random(seed)
            while (request := flow.next(chance, seen)) is not None:
                found.add(request.url)
                seen.steps += 1
        return found

    assert urls("") == urls("http://h/v1") == {"http://h/a?x=1", "http://other/b"}
    assert urls("http://127.0.0.1:8000") == {"/a?x=1", "http://other/b"}


def test_any_of_the_urls_is_one_session() -> None:
    flow = read_urls("http://h/a\nhttp://h/b\n").flow
    chance = random.Random(0)
    seen = {flow.next(chance, FlowState()).url for _ in range(20)}  # type: ignore[union-attr]
    assert seen == {"http://h/a", "http://h/b"}
    assert flow.next(chance, FlowState(steps=1)) is None


COMBINED = (
    '10.0.0.1 - - [10/Oct/2026:13:55:36 +0200] "GET /a?b=1 HTTP/1.1" 200 12 "http://r/" "curl/8"\n'
    '10.0.0.1 - joe [10/Oct/2026:11:55:38 +0000] "POST /a HTTP/1.1" 201 -\n'
    "torn line\n"
    '10.0.0.1 - - [10/Oct/2026:13:55:35 +0200] "GET /x%20y HTTP/2.0" 404 0 "-" "-"\n'
)


def test_access_logs_keep_their_timing() -> None:
    log = read_access_log(COMBINED)
    assert [(v.at, v.request.url, v.request.expect) for v in log.visits] == [
        (0.0, "/x%20y", accepted_statuses(404)),
        (1.0, "/a?b=1", frozenset()),
    ]
    assert log.visits[1].request.headers == (("Referer", "http://r/"), ("User-Agent", "curl/8"))
    assert [p.where for p in log.problems] == ["access log:3", "access log"]
    assert len(read_access_log(COMBINED, methods=frozenset({"GET", "POST"})).visits) == 3


@pytest.mark.parametrize(
    "line",
    [
        {
            "time_iso8601": "2026-01-01T10:00:00+00:00",
            "request": "GET /a HTTP/1.1",
            "status": "200",
        },
        {"ts": 1767261600.25, "request": {"method": "GET", "uri": "/a"}, "status": 200},
        {
            "@timestamp": "2026-01-01T10:00:00Z",
            "http": {"request": {"method": "GET"}},
            "url": "http://h/a",
        },
        {"StartUTC": "2026-01-01T10:00:00Z", "RequestMethod": "GET", "RequestPath": "/a"},
        {"time": 1767261600250, "method": "get", "path": "/a", "status": 200},
    ],
)
def test_json_logs_of_many_servers_are_read(line: dict[str, Any]) -> None:
    (visit,) = read_access_log(json.dumps(line)).visits
    assert (visit.request.method, visit.request.url) == ("GET", "/a")


def test_formats_are_told_by_name_and_by_content() -> None:
    for name, text, kind in (
        ("x.har", "", "har"),
        ("x.json", '{"log": {"entries": []}}', "har"),
        ("x.json", '{"info": {"_postman_id": "1"}}', "postman"),
        ("x.json", '{"openapi": "3.1.0"}', "openapi"),
        ("x.yaml", "openapi: 3.0.0", "openapi"),
        ("x.txt", "curl http://h/", "curl"),
        ("x.txt", "http://h/\n", "urls"),
        ("access.log", "", "accesslog"),
        ("x.txt", COMBINED, "accesslog"),
    ):
        assert guess_format(name, text) == kind
    with pytest.raises(UsageError, match="can't tell"):
        guess_format("x.bin", "\x00\x01")


def test_one_door_reads_them_all() -> None:
    texts = {
        "har": har(entry("http://h/")),
        "curl": "curl http://h/",
        "urls": "http://h/",
        "accesslog": COMBINED,
        "openapi": json.dumps({"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}),
        "postman": json.dumps({"info": {}, "item": [{"request": "http://h/"}]}),
    }
    for kind, text in texts.items():
        found = read_input(kind, text, options=DocumentOptions(bearer="t").input_options())
        assert found.flow.next(random.Random(0), FlowState()) is not None
        assert found.flow.outline()
    with pytest.raises(UsageError, match="no format 'haar'"):
        read_input("haar", "")


@given(st.sampled_from(["har", "curl", "urls", "accesslog", "postman"]), st.text(max_size=60))
def test_any_text_is_read_or_refused(kind: str, text: str) -> None:
    try:
        read_input(kind, text)
    except InvalidInputError:
        return


def test_what_servers_write_for_quotes_is_read_back() -> None:
    """nginx writes `\\x22`, Apache `\\"`."""
    lines = [
        r'h - [10/Oct/2026:13:55:36 +0000] "GET /a?q=\x22%20b\x5C HTTP/1.1" 200 1 "/\x22" "a\x22b"',
        r'h - - [10/Oct/2026:13:55:37 +0000] "GET /\"b\\ HTTP/1.1" 200 1 "-" "a \"b\""',
    ]
    one, two = (visit.request for visit in read_access_log("\n".join(lines)).visits)
    assert (one.url, one.headers) == (
        "/a?q=%22%20b%5C",
        (("Referer", '/"'), ("User-Agent", 'a"b')),
    )
    assert (two.url, two.headers) == ("/%22b%5C", (("User-Agent", 'a "b"'),))


def test_a_log_with_much_else_in_it_is_told_of_shortly() -> None:
    good = '{"@timestamp": "2026-10-10T11:55:41Z", "url": {"path": "/a\u2028"}}'
    found = read_access_log("\n".join([good, *["other"] * 500, good]), name="x.log")
    assert [v.request.url for v in found.visits] == ["/a%E2%80%A8"] * 2
    assert len(found.problems) == 11
    assert found.problems[-1].what == "490 more lines are none of a log"
