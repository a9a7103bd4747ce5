# ruff: noqa: E501 — command lines are as long as they are
"""Command lines say the same here as to curl."""

import base64
import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.problems import InvalidInputError
from chapiteau.load.inputs.curl import read_curl
from chapiteau.load.scenario.flow import FlowRequest

CHROME = r"""curl 'https://shop.example.com/api/cart?x=1' \
  -X 'PUT' \
  -H 'accept: application/json' \
  -H 'content-type: application/json' \
  -H 'if-none-match: "1"' \
  -b 'sid=abc; theme=dark' \
  --data-raw $'{"note":"it\'s \u00e9"}' \
  --compressed --insecure -L -sS
"""
WINDOWS = (
    'curl ^"http://h/a?b=1^&c=2^" ^\n  -H ^"accept: */*^" ^\n  --data-raw ^"^{^\\^"a^\\^":1^}^"'
)


def one(text: str, **files: bytes) -> FlowRequest:
    found = read_curl(text, read_file=lambda path: files[path])
    assert found.problems == ()
    (request,) = found.flow.requests  # type: ignore[attr-defined]
    return request


def headers(request: FlowRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


def test_what_chrome_copies() -> None:
    request = one(CHROME)
    assert (request.method, request.url) == ("PUT", "https://shop.example.com/api/cart?x=1")
    assert json.loads(request.body) == {"note": "it's é"}
    assert headers(request) == {
        "accept": "application/json",
        "content-type": "application/json",
        "cookie": "sid=abc; theme=dark",
    }


def test_what_chrome_copies_for_windows() -> None:
    request = one(WINDOWS)
    assert (request.method, request.url) == ("POST", "http://h/a?b=1&c=2")
    assert json.loads(request.body) == {"a": 1}


@pytest.mark.parametrize(
    ("command", "method", "url", "body"),
    [
        ("curl localhost:8000", "GET", "http://localhost:8000/", b""),
        ("curl -I http://h/x", "HEAD", "http://h/x", b""),
        ("curl -XDELETE http://h/x#part", "DELETE", "http://h/x", b""),
        ("curl http://h/ -d a=1 -d b=2", "POST", "http://h/", b"a=1&b=2"),
        ("curl http://h/ -d @f", "POST", "http://h/", b"onetwo"),
        ("curl http://h/ --data-binary @f", "POST", "http://h/", b"one\r\ntwo"),
        ("curl http://h/ --data-raw @f", "POST", "http://h/", b"@f"),
        ("curl -G http://h/s --data-urlencode 'q=a b&c' -d n=3", "GET", "http://h/s?q=a%20b%26c&n=3", b""),
        ("curl -G 'http://h/s?z=1' -d n=3", "GET", "http://h/s?z=1&n=3", b""),
        ("curl http://h/ --data-urlencode '=a&b'", "POST", "http://h/", b"a%26b"),
        ("curl http://h/ --data-urlencode n@f", "POST", "http://h/", b"n=one%0D%0Atwo"),
        ("$ curl -s -o /dev/null -w '%{http_code}' http://h/x", "GET", "http://h/x", b""),
        ("curl --url http://h/x --max-time 3 --retry 2", "GET", "http://h/x", b""),
        ("curl -sSLkvo out http://h/x", "GET", "http://h/x", b""),
        ("curl http://h/x -X PATCH # a remark", "PATCH", "http://h/x", b""),
        ('curl "http://h/\\"q\\"" -d "a\\$b"', "POST", 'http://h/"q"', b"a$b"),
    ],
)  # fmt: skip
def test_options(command: str, method: str, url: str, body: bytes) -> None:
    request = one(command, f=b"one\r\ntwo")
    assert (request.method, request.url, request.body) == (method, url, body)


def test_headers_that_options_make() -> None:
    assert headers(one("curl -u joe:pw -A agent -e http://r/ http://h/")) == {
        "authorization": "Basic " + base64.b64encode(b"joe:pw").decode(),
        "user-agent": "agent",
        "referer": "http://r/",
    }
    assert headers(one("curl --json '{}' -H 'Accept:' http://h/")) == {
        "content-type": "application/json"
    }
    assert headers(one("curl -d a=1 -H 'Content-Type: text/plain' http://h/")) == {
        "content-type": "text/plain"
    }
    assert headers(one("curl --oauth2-bearer t -H 'X-Empty;' http://h/")) == {
        "authorization": "Bearer t",
        "x-empty": "",
    }


def test_forms_are_multipart() -> None:
    request = one(
        "curl -F name=Joe -F 'file=@p/x.txt;type=text/plain' http://h/", **{"p/x.txt": b"hi"}
    )
    assert headers(request)["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="name"\r\n\r\nJoe\r\n' in request.body
    assert (
        b'name="file"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n' in request.body
    )


def test_several_commands_and_next_are_one_session() -> None:
    found = read_curl("curl http://h/a\n\n# then\ncurl http://h/b --next -I http://h/c; curl h/d")
    assert found.flow.outline() == [
        "GET http://h/a",
        "GET http://h/b",
        "HEAD http://h/c",
        "GET http://h/d",
    ]
    assert found.base_url == "http://h"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no curl command"),
        ("wget http://h/", "is no curl command"),
        ("curl 'http://h/", "a single quote is not closed"),
        ("curl -H", "-H needs a value"),
    ],
)
def test_what_can_not_be_read_is_refused(text: str, message: str) -> None:
    if text == "curl -H":
        assert message in str(read_curl("curl -H; curl http://h/").problems[0])
        return
    with pytest.raises(InvalidInputError, match=message):
        read_curl(text)


def test_what_is_read_over_is_told() -> None:
    found = read_curl("curl http://h/?a=1&b=2\ncurl -T x --hedaer y -b jar.txt http://h/ -d @gone")
    told = " ".join(str(p) for p in found.problems)
    for word in (
        "put a URL with & in quotes",
        "did you mean 'header'?",
        "jar.txt",
        "@gone",
    ):
        assert word in told


def test_here_documents_redirections_and_pipes_are_the_shells() -> None:
    text = (
        "curl -X PUT http://h/a --data-binary @- <<'END' 2>/dev/null\n"
        '{"a": "$HOME"}\nmore; text | here\nEND\n'
        "curl -s http://h/b > out.json | jq .id && echo done\n"
        "curl http://h/c < in.txt &\n"
    )
    found = read_curl(text)
    first, second, third = found.flow.requests  # type: ignore[attr-defined]
    assert (first.method, first.url) == ("PUT", "http://h/a")
    assert first.body == b'{"a": "$HOME"}\nmore; text | here\n'
    assert [r.url for r in (second, third)] == ["http://h/b", "http://h/c"]
    assert [p.what for p in found.problems] == ["is no curl command: 'echo'"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('curl "http://h/?q=$USER"', "$USER is sent as it stands"),
        ("curl http://h/ -H X-T:${TOKEN}", "${TOKEN} is sent as it stands"),
        ("curl 'http://h/[1-3]'", "[1-3] in a URL is sent as it stands"),
        ("curl --digest -u a:b http://h/", "--digest is not done"),
    ],
)
def test_what_only_a_shell_or_curl_would_do_is_told(text: str, what: str) -> None:
    (problem,) = read_curl(text).problems
    assert problem.what.startswith(what)
    assert not read_curl("curl 'http://h/?q=$USER' -d '{\"a\": [1-3]}'").problems


words = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20
)


@given(words, st.dictionaries(st.from_regex(r"X-[a-z]{1,8}", fullmatch=True), words, max_size=3))
def test_what_a_shell_quotes_comes_back_whole(body: str, extra: dict[str, str]) -> None:
    line = ["curl", "http://h/x", "-X", "PUT", "--data-raw", body]
    for name, value in extra.items():
        line += ["-H", f"{name}: {value}" if value.strip() else f"{name};"]
    text = shlex.join(line)
    if '^"' in text:  # would be taken for Windows
        return
    request = one(text)
    assert request.body == body.encode()
    sent = headers(request)
    for name, value in extra.items():
        assert sent[name.lower()].split() == value.split()


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for start in ("", "curl "):
        try:
            read_curl(start + text)
        except InvalidInputError:
            continue


def test_a_file_is_put_below_the_url_or_at_it() -> None:
    """As curl 7.88 does it."""
    text = "curl -T notes/a.txt http://h/dir/?x=1\ncurl -T a.txt http://h/b -X POST"
    found = read_curl(text, read_file=lambda _path: b"line\r\n")
    assert [(r.method, r.url, r.body) for r in found.flow.requests] == [  # type: ignore[attr-defined]
        ("PUT", "http://h/dir/a.txt?x=1", b"line\r\n"),
        ("POST", "http://h/b", b"line\r\n"),
    ]
    assert not any(
        name == "Content-Type"
        for request in found.flow.requests  # type: ignore[attr-defined]
        for name, _ in request.headers
    )


def test_several_pieces_of_json_are_put_together() -> None:
    """As curl 7.88 does it."""
    (request,) = read_curl("""curl http://h/ --json '{"a":' --json '1}'""").flow.requests  # type: ignore[attr-defined]
    assert request.body == b'{"a":1}'


def test_the_value_of_what_is_not_taken_over_is_no_url() -> None:
    found = read_curl("curl --request-target '*' --proto =https http://h/ -X OPTIONS")
    assert [r.url for r in found.flow.requests] == ["http://h/"]  # type: ignore[attr-defined]
    assert [p.what for p in found.problems] == ["--request-target is not taken over"]
