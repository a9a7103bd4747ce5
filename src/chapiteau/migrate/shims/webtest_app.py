"""WebTest's TestApp over a blocking session: `self.app` of Loads' test cases."""

import fnmatch
import functools
import json
from collections.abc import Callable
from typing import Any

from chapiteau.migrate.shims.blocking import BlockingSession, HttpSession
from chapiteau.migrate.shims.responses import RequestsResponse

__all__ = ["App", "AppError", "AppResponse"]


class AppError(AssertionError):
    """The answer is not what the call expected."""


class AppResponse:
    """An answer by the names of webtest.TestResponse."""

    def __init__(self, answer: RequestsResponse, app: "App") -> None:
        self.status_int = self.status_code = answer.status_code
        self.status = f"{answer.status_code} {answer.reason}"
        self.headers = answer.headers
        self.body = answer.content
        self.text = self.unicode_body = answer.text
        self.content_type = answer.headers.get("content-type", "").partition(";")[0]
        self.location = answer.headers.get("location")
        self._app = app

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    json_body = json

    def mustcontain(self, *texts: str, no: Any = ()) -> None:
        """Raise AppError unless the body has all of these, and none of `no`."""
        for text in texts:
            if text not in self.text:
                raise AppError(f"the body has no {text!r}: {self.text[:300]}")
        for text in [no] if isinstance(no, str) else no:
            if text in self.text:
                raise AppError(f"the body has {text!r}: {self.text[:300]}")

    def follow(self, **given: Any) -> "AppResponse":
        """GET where the Location field points to."""
        if not self.location:
            raise AppError(f"{self.status} is no redirect")
        found: AppResponse = self._app.get(self.location, **given)
        return found

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def __repr__(self) -> str:
        return f"<{self.status} {self.content_type}>"


def _verb(method: str, argument: str = "", default: Any = None) -> Callable[..., AppResponse]:
    """A method of App; `argument` is what its second parameter, `params`, is called by requests."""

    def call(
        self: "App", url: str, params: Any = default, headers: Any = None, **more: Any
    ) -> AppResponse:
        given: dict[str, Any] = {"headers": headers}
        if argument:
            given[argument] = params or None if argument == "data" else params
        if more.get("content_type"):
            given["headers"] = {**dict(headers or {}), "Content-Type": more["content_type"]}
        known = {key: more[key] for key in ("status", "expect_errors") if key in more}
        return self.request(method, url, **given, **known)

    return call


class App:
    """Requests whose status is checked: 2xx and 3xx, or what `status=` says."""

    def __init__(self, blocking: BlockingSession, server_url: str) -> None:
        self._http = HttpSession(blocking, server_url)
        self.authorization: Any = None

    @property
    def server_url(self) -> str:
        """Where requests go; may be changed at any time."""
        return self._http.base_url

    @server_url.setter
    def server_url(self, url: str) -> None:
        self._http.base_url = url

    def request(
        self,
        method: str,
        url: str,
        *,
        status: Any = None,
        expect_errors: bool = False,
        **given: Any,
    ) -> AppResponse:
        """Any method. Raises AppError for an unexpected status; one that is expected is no error
        of the service's either."""
        wanted = "*" if expect_errors else status
        listed = wanted if isinstance(wanted, list | tuple) else [wanted]
        if wanted is not None:
            given["expect"] = _codes(tuple(str(one) for one in listed))
        answer = self._http.request(method, url, allow_redirects=False, **given)
        if answer.error is not None:
            raise answer.error
        code, whole = str(answer.status_code), f"{answer.status_code} {answer.reason}"
        patterns = [str(one) for one in listed] if wanted is not None else ["2??", "3??"]
        if not any(fnmatch.fnmatch(text, p) for p in patterns for text in (code, whole)):
            what = "2xx or 3xx" if status is None else status
            raise AppError(f"status {code}, not {what}: {answer.text[:300]}")
        return AppResponse(answer, self)

    get = _verb("GET", "params")
    post, put, patch = (_verb(method, "data", "") for method in ("POST", "PUT", "PATCH"))
    delete = _verb("DELETE", "data", "")
    head, options = _verb("HEAD"), _verb("OPTIONS")
    post_json, put_json = _verb("POST", "json"), _verb("PUT", "json")
    patch_json, delete_json = _verb("PATCH", "json"), _verb("DELETE", "json")


@functools.cache
def _codes(wanted: tuple[str, ...]) -> frozenset[int]:
    """The statuses that patterns like `404`, `4*` and `404 Not Found` may mean."""
    patterns = [one.partition(" ")[0] for one in wanted]
    codes = range(100, 600)
    return frozenset(c for c in codes if any(fnmatch.fnmatch(str(c), p) for p in patterns))
