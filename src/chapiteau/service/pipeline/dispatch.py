"""One compiled plan per service: its methods, CORS, and what is not allowed."""

from collections.abc import Sequence
from typing import Any, Final

from webob.response import Response

from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.path import bad_segment, path_parameters
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.views import (
    accepted_media,
    depends_on_request,
    needs_dispatch,
    share_parameters,
    view_for,
)
from chapiteau.service.openapi.responses import request_header_names
from chapiteau.service.pipeline.operation_plan import (
    OFFER_KEY,
    OperationPlan,
    PlanDefaults,
    add_headers,
)
from chapiteau.service.pipeline.reply import CORS_KEY, ERRORS_KEY, VARY_KEY, Reply, request_id
from chapiteau.service.protocol.cors import cors_headers, preflight_headers
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.negotiation import choose_media, select_view
from chapiteau.service.protocol.problem import problem_for

__all__ = ["VIEW_KEY", "ServicePlan", "ViewsPlan"]


# Several views of one method: the request's media types say which of them answers.

VIEW_KEY: Final = "chapiteau.view"  # set by Pyramid's view of one operation: that one answers
_VARY: Final = ("Vary", "Accept")


class ViewsPlan:
    """How to run one of several operations of a method, or one that is narrowed per request."""

    def __init__(self, operations: Sequence[Operation], around: PlanDefaults) -> None:
        self.operations = share_parameters(operations)
        offers = {offer for one in operations for offer in one.offers}
        self._varies = len(offers) > 1 or any(map(depends_on_request, operations))
        self._plans = [OperationPlan(one, around, varies=self._varies) for one in self.operations]
        with_cors = [one for one in self.operations if one.options.cors is not None]
        self.operation = (with_cors or self.operations)[0]
        narrowed = any(map(depends_on_request, operations))
        self._views = [] if narrowed else [view_for(one, None)[0] for one in self.operations]
        self._only_media = [(set(accepted_media(one)), set(one.offers)) for one in self.operations]

    def __repr__(self) -> str:
        return (
            f"<ViewsPlan of {len(self.operations)} {self.operation.method} {self.operation.path}>"
        )

    def check_answers(self) -> None:
        """From now on hold every answer against the declared type."""
        for plan in self._plans:
            plan.check_answers()

    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """As the one that is meant would. Raises ProblemError."""
        at = environ.get(VIEW_KEY)
        if at is None:
            at = self._choose(environ, request)
        if any(map(callable, self.operations[at].options.accept)):
            accept = environ.get("HTTP_ACCEPT")
            _, offers = view_for(self.operations[at], request)
            environ[OFFER_KEY] = choose_media(accept, offers) if offers else accept
        made = self._plans[at].run(environ, request, captures)
        if self._varies and isinstance(made, Response) and "Accept" not in (made.vary or ()):
            add_headers(made, [_VARY])
        return made

    def fitting(self, request: Any) -> frozenset[int]:
        """The numbers of the views whose media types are those of the one that is meant.

        Among them predicates decide. Raises ProblemError when none is.
        """
        environ = request.environ
        chosen = self._choose(environ, request)
        wanted = self._only_media[chosen]
        return frozenset(at for at, media in enumerate(self._only_media) if media == wanted)

    def _choose(self, environ: Environ, request: Any) -> int:
        if self._varies and _VARY not in (known := environ.get(VARY_KEY, ())):
            environ[VARY_KEY] = [*known, _VARY]  # errors too are what this Accept has led to
        views = self._views or [view_for(one, request)[0] for one in self.operations]
        method = self.operations[0].method
        chosen = select_view(views, method, environ.get("HTTP_ACCEPT"), environ.get("CONTENT_TYPE"))
        if isinstance(chosen, int):
            return chosen
        told = ", ".join(chosen.offers)
        if chosen.status == 415:
            kind = environ.get("CONTENT_TYPE", "")
            raise problem_for(415, f"{kind} can't be read here", headers={"Accept": told})
        raise problem_for(
            406, f"offered here: {told}", headers={} if self._varies else dict([_VARY])
        )


class ServicePlan:
    """All methods of one service."""

    def __init__(
        self,
        service: Service,
        path: str,
        around: PlanDefaults,
    ) -> None:
        self.service = service
        self.path = path
        self.version = around.version
        self._headers = around.headers
        self._errors = around.errors != "problem"
        self.names = path_parameters(path)
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
        headers = cors_headers(policy, origin) if policy is not None else []
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
                read=request_header_names(wished.operations) if wished is not None else (),
                private=environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true",
            )
        return Reply("204 No Content", headers, b"")

    def _other(self, method: str, environ: Environ) -> Reply:
        if method == "OPTIONS":
            own = request_id(environ)
            return Reply("204 No Content", [("Allow", self.allow), ("X-Request-ID", own)], b"")
        raise problem_for(405, f"method not allowed: {method}", headers={"Allow": self.allow})


def _plan_of(operations: list[Operation], around: PlanDefaults) -> OperationPlan | ViewsPlan:
    if needs_dispatch(operations):
        return ViewsPlan(operations, around)
    return OperationPlan(operations[0], around)
