"""One compiled plan per service: its methods, CORS, what is not possible here."""

from typing import Any

from chapiteau.service.engine.answering.plan import Around, OperationPlan, add_headers
from chapiteau.service.engine.answering.reply import (
    CORS_KEY,
    ERRORS_KEY,
    VARY_KEY,
    Reply,
    request_id,
)
from chapiteau.service.engine.choosing.views import ViewsPlan
from chapiteau.service.engine.service import Service
from chapiteau.service.logic.document.answers import headers_read
from chapiteau.service.logic.operation import Operation
from chapiteau.service.logic.path import bad_segment, names_in
from chapiteau.service.logic.problem import problem_for
from chapiteau.service.logic.views import needs_choice
from chapiteau.service.logic.wire.cors import answer_headers, preflight_headers

__all__ = ["ServicePlan"]

Environ = dict[str, Any]


class ServicePlan:
    """All methods of one service."""

    def __init__(
        self,
        service: Service,
        path: str,
        around: Around,
    ) -> None:
        self.service = service
        self.path = path
        self.version = around.version
        self._headers = around.headers
        self._errors = around.errors != "problem"
        self.names = names_in(path)
        self.methods: dict[str, OperationPlan | ViewsPlan] = {
            method: _plan_of([one for one in service.operations if one.method == method], around)
            for method in service.methods
        }
        if "GET" in self.methods:
            self.methods.setdefault("HEAD", self.methods["GET"])
        self.allow = ", ".join(sorted({*self.methods, "OPTIONS"}))
        self._cors = {m: p.operation.options.cors or around.cors for m, p in self.methods.items()}
        self._crosses = any(self._cors.values())
        # A method that is not there belongs to the service still: pages may read that, too.
        self._anywhere = next((policy for policy in self._cors.values() if policy), None)

    def views(self, method: str) -> ViewsPlan | None:
        """The views among which a request of this method chooses, if there are several."""
        found = self.methods.get(method)
        return found if isinstance(found, ViewsPlan) else None

    def check_answers(self) -> None:
        """From now on hold every answer against the declared type."""
        for plan in self.methods.values():
            plan.check_answers()

    @property
    def plain(self) -> bool:
        """Whether nothing of Pyramid's is asked for beyond a route and a request."""
        return not self.service.route and not any(
            one.options.view or one.context_argument
            for plan in self.methods.values()
            for one in plan.operations
        )

    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """Answer a request for this path. Raises ProblemError."""
        if self._headers:
            environ[VARY_KEY] = self._headers
        if self._errors:
            environ[ERRORS_KEY] = True
        if captures and (wrong := bad_segment(captures)):
            raise problem_for(400, wrong)
        method = environ["REQUEST_METHOD"]
        plan = self.methods.get(method)
        if self._crosses:
            return self._run_crossed(plan, environ, request, captures)
        if plan is not None:
            return plan.run(environ, request, captures)
        return self._other(method, environ)

    def _run_crossed(
        self,
        plan: OperationPlan | ViewsPlan | None,
        environ: Environ,
        request: Any,
        captures: list[str],
    ) -> Any:
        """The same for pages of other origins; error answers get the headers by CORS_KEY."""
        method, origin = environ["REQUEST_METHOD"], environ.get("HTTP_ORIGIN")
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if plan is None and method == "OPTIONS" and origin and wanted:
            return self._preflight(environ, origin, wanted)
        policy = self._cors.get(method) if plan is not None else self._anywhere
        headers = answer_headers(policy, origin) if policy is not None else []
        environ[CORS_KEY] = headers
        if plan is None:
            return self._other(method, environ)
        made = plan.run(environ, request, captures)
        add_headers(made, headers)
        return made

    def _preflight(self, environ: Environ, origin: str, wanted: str) -> Reply:
        wished = self.methods.get(wanted)
        policy = self._cors.get(wanted) if wished is not None else self._anywhere
        headers = [("X-Request-ID", request_id(environ)), ("Allow", self.allow)]
        if policy is not None:
            headers += preflight_headers(
                policy,
                origin=origin,
                asked=environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"),
                # Browsers keep the whole list: a method of another policy must not stand in it.
                methods=tuple(sorted(m for m, p in self._cors.items() if p == policy)),
                read=headers_read(wished.operations) if wished is not None else (),
                private=environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true",
            )
        return Reply("204 No Content", headers, b"")

    def _other(self, method: str, environ: Environ) -> Reply:
        if method == "OPTIONS":
            own = request_id(environ)
            return Reply("204 No Content", [("Allow", self.allow), ("X-Request-ID", own)], b"")
        raise problem_for(405, f"{method} is not possible here", headers={"Allow": self.allow})


def _plan_of(operations: list[Operation], around: Around) -> OperationPlan | ViewsPlan:
    if needs_choice(operations):
        return ViewsPlan(operations, around)
    return OperationPlan(operations[0], around)
