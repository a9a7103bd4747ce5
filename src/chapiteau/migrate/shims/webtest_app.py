"""WebTest's TestApp over a blocking session: `self.app` of Loads' test cases."""

import fnmatch
import functools
import json
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
        refused = [no] if isinstance(no, str) else list(no)
        for text in texts:
            if text not in self.text:
                raise AppError(f"the body has no {text!r}: {self.text[:300]}")
        for text in refused:
            if text in self.text:
                raise AppError(f"the body has {text!r}: {self.text[:300]}")

    def follow(self, **given: Any) -> "AppResponse":
        """GET where the Location field points to."""
        if not self.location:
            raise AppError(f"{self.status} is no redirect")
        return self._app.get(self.location, **given)

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def __repr__(self) -> str:
        return f"<{self.status} {self.content_type}>"


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
        if wanted is not None:
            listed = wanted if isinstance(wanted, list | tuple) else [wanted]
            given["expect"] = _codes(tuple(str(one) for one in listed))
        answer = self._http.request(method, url, allow_redirects=False, **given)
        if answer.error is not None:
            raise answer.error
        if not expect_errors:
            _check(answer, status)
        return AppResponse(answer, self)

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> AppResponse:
        """GET."""
        return self.request("GET", url, params=params, headers=headers, **_known(more))

    def post(self, url: str, params: Any = "", headers: Any = None, **more: Any) -> AppResponse:
        """POST a form, or text."""
        return self._with_body("POST", url, params, headers, more)

    def put(self, url: str, params: Any = "", headers: Any = None, **more: Any) -> AppResponse:
        """PUT a form, or text."""
        return self._with_body("PUT", url, params, headers, more)

    def patch(self, url: str, params: Any = "", headers: Any = None, **more: Any) -> AppResponse:
        """PATCH a form, or text."""
        return self._with_body("PATCH", url, params, headers, more)

    def delete(self, url: str, params: Any = "", headers: Any = None, **more: Any) -> AppResponse:
        """DELETE."""
        return self._with_body("DELETE", url, params, headers, more)

    def head(self, url: str, headers: Any = None, **more: Any) -> AppResponse:
        """HEAD."""
        return self.request("HEAD", url, headers=headers, **_known(more))

    def options(self, url: str, headers: Any = None, **more: Any) -> AppResponse:
        """OPTIONS."""
        return self.request("OPTIONS", url, headers=headers, **_known(more))

    def post_json(self, url: str, params: Any = None, **more: Any) -> AppResponse:
        """POST JSON."""
        return self.request("POST", url, json=params, headers=more.get("headers"), **_known(more))

    def put_json(self, url: str, params: Any = None, **more: Any) -> AppResponse:
        """PUT JSON."""
        return self.request("PUT", url, json=params, headers=more.get("headers"), **_known(more))

    def patch_json(self, url: str, params: Any = None, **more: Any) -> AppResponse:
        """PATCH JSON."""
        return self.request("PATCH", url, json=params, headers=more.get("headers"), **_known(more))

    def delete_json(self, url: str, params: Any = None, **more: Any) -> AppResponse:
        """DELETE with JSON."""
        return self.request("DELETE", url, json=params, headers=more.get("headers"), **_known(more))

    def _with_body(
        self, method: str, url: str, params: Any, headers: Any, more: dict[str, Any]
    ) -> AppResponse:
        extra = {"Content-Type": more["content_type"]} if more.get("content_type") else {}
        given = {**dict(headers or {}), **extra}
        return self.request(method, url, data=params or None, headers=given, **_known(more))


def _known(more: dict[str, Any]) -> dict[str, Any]:
    return {key: more[key] for key in ("status", "expect_errors") if key in more}


@functools.cache
def _codes(wanted: tuple[str, ...]) -> frozenset[int]:
    """The statuses that patterns like `404`, `4*` and `404 Not Found` may mean."""
    patterns = [one.partition(" ")[0] for one in wanted]
    codes = range(100, 600)
    return frozenset(c for c in codes if any(fnmatch.fnmatch(str(c), p) for p in patterns))


def _check(answer: RequestsResponse, status: Any) -> None:
    code = answer.status_code
    if status is None:
        good = 200 <= code < 400
    else:
        wanted = status if isinstance(status, list | tuple) else [status]
        whole = f"{code} {answer.reason}"
        good = any(fnmatch.fnmatch(text, str(w)) for w in wanted for text in (str(code), whole))
    if not good:
        what = "2xx or 3xx" if status is None else status
        raise AppError(f"status {code}, not {what}: {answer.text[:300]}")
