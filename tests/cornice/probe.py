"""What every case of the comparison uses: the modules on trial, an application, and its answers."""

import importlib
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from webtest import TestApp

__all__ = ["CASES", "Trial", "case", "run"]

CASES: dict[str, Callable[["Trial"], None]] = {}

# Headers that say nothing about the framework, or that differ by chance.
_DULL = {"content-length", "date", "server"}
# Lists whose order is that of a set in Cornice.
_SETS = {"access-control-allow-headers", "access-control-expose-headers"}


def case(function: Callable[["Trial"], None]) -> Callable[["Trial"], None]:
    """Register a case under the name of its function."""
    assert function.__name__ not in CASES
    CASES[function.__name__] = function
    return function


_OFFERS = re.compile(r"\[('[^\]]*')\]")


class Trial:
    """One run of one case against one set of modules."""

    def __init__(self, cornice: str, swagger: str) -> None:
        self.package = cornice
        self.swagger = swagger
        self.facts: list[list[Any]] = []

    def module(self, name: str = "") -> Any:
        """`cornice.NAME`, or what stands in its place."""
        return importlib.import_module(f"{self.package}.{name}" if name else self.package)

    @property
    def service(self) -> Any:
        """The class `Service`."""
        return self.module("service").Service

    def note(self, label: str, value: Any) -> None:
        """Record one fact."""
        self.facts.append([label, json.loads(json.dumps(value))])  # as it is now

    def refused(self, label: str, deed: Callable[[], Any]) -> None:
        """Record which error a deed raises, or that it raises none."""
        try:
            deed()
        except Exception as exc:  # noqa: BLE001 — the kind of error is the fact
            self.note(label, type(exc).__name__)
        else:
            self.note(label, "fine")

    def configurator(self, settings: dict[str, Any] | None = None, **options: Any) -> Any:
        """A Configurator with the package included."""
        config = Configurator(settings=settings or {}, **options)
        config.include(self.package)
        return config

    def app(
        self,
        *services: Any,
        settings: dict[str, Any] | None = None,
        prefix: str | None = None,
        more: Callable[[Any], None] | None = None,
        **options: Any,
    ) -> TestApp:
        """An application of these services."""
        config = self.configurator(settings, **options)
        if more is not None:
            more(config)
        with config.route_prefix_context(prefix):
            for service in services:
                config.add_cornice_service(service)
        return TestApp(config.make_wsgi_app(), lint=True)

    def ask(self, app: TestApp, line: str, body: Any = None, **headers: str) -> Any:
        """`ask(app, "POST /path", {…})`: send, record status, headers and body."""
        method, _, path = line.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = app.RequestClass.blank(path, method=method, headers=sent)
        if body is not None:
            request.body = body
        extra = " ".join(f"{key}={value}" for key, value in sent.items())
        label = f"{line} {extra}".strip()
        try:
            answer = app.do_request(request, status="*", expect_errors=True)
        except Exception as exc:  # noqa: BLE001 — what reaches the server is the fact
            self.note(label, f"raises {type(exc).__name__}")
            return None
        found = {"status": answer.status, "headers": _headers(answer), "body": _body(answer)}
        self.note(label, found)
        return answer


def _headers(answer: Any) -> list[list[str]]:
    kept = []
    for name, value in answer.headerlist:
        if name.lower() in _DULL:
            continue
        if name.lower() in _SETS:
            parts = sorted(value.replace(" ", "").split(","))
            kept.append([name.lower(), ",".join(parts)])
        else:
            kept.append([name.lower(), value])
    return sorted(kept)


def _ordered(match: re.Match[str]) -> str:
    return f"[{', '.join(sorted(match[1].split(', ')))}]"


def _body(answer: Any) -> Any:
    if "json" in (answer.content_type or ""):
        try:
            return {"json": json.loads(_OFFERS.sub(_ordered, answer.text))}
        except ValueError:
            pass
    return answer.body.decode("utf-8", "replace")


def run(name: str, cornice: str, swagger: str) -> list[list[Any]]:
    """The facts of one case."""
    trial = Trial(cornice, swagger)
    trial.module("service").clear_services()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CASES[name](trial)
    return trial.facts
