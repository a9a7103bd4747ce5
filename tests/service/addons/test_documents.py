"""The page of the document: ours alone, nothing inline, and of use to everybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Route, async_playwright

from chapiteau.service import BearerAuth, Body, Query, Service, Versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

    Build = Callable[..., Client]

CHROMIUM = Path("/usr/bin/chromium")


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """A note with <b>no</b> markup."""

    text: str
    parent: Note | None = None


def notes() -> Service:
    service = Service("notes", "/notes/{number}")

    @service.get()
    def get_note(number: int, words: Annotated[str, Query(description="What.")] = "") -> Note:
        """Read a note."""
        return Note(words or str(number))

    @service.put(auth=BearerAuth(lambda token: token == "t" or None))
    def put_note(number: int, note: Annotated[Note, Body(example=Note("milk"))]) -> Note:
        """Write a note.

        With `code` and <script>alert(1)</script> that stays text.
        """
        return note

    return service


@pytest.fixture
def client(build: Build) -> Client:
    return build(notes(), **{"chapiteau.docs_path": "/docs/"})


def test_the_page_needs_nobody_else(client: Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/docs", headers={"If-None-Match": page.headers["etag"]}).status == 304
    names = re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text)
    assert sorted(names) == ["/docs/page.css", "/docs/page.js"]
    texts = [page.text, *(client.get(name).text for name in names)]
    for name in re.findall(r'from "\./(\w+\.js)"', texts[-1] + texts[-2]):
        part = client.get(f"/docs/{name}")
        assert part.headers["content-type"] == "text/javascript; charset=utf-8"
        texts.append(part.text)
    for text in texts:
        assert re.findall(r"https?://(?!example\.org)", text) == []
        assert "innerHTML" not in text
        assert "<style" not in text
    assert client.get("/docs/index.html").status == 404
    assert client.get("/docs/%2e%2e").status == 400
    assert "/docs" not in client.get("/openapi.json").text


def test_no_page_without_being_asked_for(build: Build) -> None:
    assert build(notes()).get("/docs").status == 404


def test_title_prefix_and_versions_stand_in_the_page(build: Build) -> None:
    def more(config: Any) -> None:
        config.set_versions(Versions("1", "2", by="header"))
        config.set_api(title='A & "B"', version="1")
        config.route_prefix = "api"
        config.add_docs()

    client = build(more=more)
    text = client.get("/api/docs").text
    assert "<title>A &amp; &quot;B&quot;</title>" in text
    assert 'data-versions="1 2"' in text
    assert 'src="/api/docs/page.js"' in text


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium here")
@pytest.mark.parametrize("lane", ["fast"])
async def test_a_browser_reads_and_tries_it(client: Client) -> None:
    complaints: list[str] = []

    async def answer(route: Route) -> None:
        request = route.request
        where = urlsplit(request.url)
        assert where.netloc == "service.test"
        told = client.request(
            request.method, f"{where.path}?{where.query}", headers=await request.all_headers(),
            body=request.post_data_buffer or b"",
        )  # fmt: skip
        await route.fulfill(status=told.status, headers=told.headers, body=told.body)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        await page.route("**/*", answer)
        await page.goto("http://service.test/docs")
        put = page.locator("#put_note")
        await put.get_by_text("<script>alert(1)</script> that stays text").wait_for()
        await page.get_by_label("Find").fill("read")
        await page.locator("#get_note").wait_for(state="visible")
        assert not await put.is_visible()
        await page.get_by_label("Find").fill("")
        await put.get_by_text("Try it").click()
        await put.get_by_label("number (path, needed)").fill("3")
        await put.get_by_label("Bearer token").fill("t")
        await put.get_by_role("button", name="Send").click()
        await put.locator(".result").get_by_text("200 OK").wait_for()
        assert '"text": "milk"' in await put.get_by_label("Body", exact=True).last.inner_text()
        found = await Axe().run(page)
        await browser.close()
    assert found.response["violations"] == []
    assert complaints == []
