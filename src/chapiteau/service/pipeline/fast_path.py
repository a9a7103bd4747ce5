"""Two ways to a plan: Pyramid's whole machinery, or the short way where nothing would be skipped.

Law: whatever the fast path answers, the normal path would have answered too. It is entered only
for routes without predicates, factories, permissions and view options, in applications without
tweens (but Pyramid's own exception tween) and without subscribers to request events.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from pyramid.events import BeforeTraversal, ContextFound, NewRequest, NewResponse
from pyramid.exceptions import PredicateMismatch
from pyramid.interfaces import (
    IExceptionViewClassifier,
    IMultiView,
    IRouteRequest,
    IRoutesMapper,
    ISecuredView,
    ITraverser,
    ITweens,
    IView,
)
from pyramid.request import apply_request_extensions
from pyramid.router import default_execution_policy
from pyramid.threadlocal import manager
from pyramid.tweens import EXCVIEW
from webob.request import BaseRequest
from zope.interface import Interface, implementedBy

from chapiteau.service.declare.path import RouteTable, path_parameters
from chapiteau.service.pipeline.dispatch import VIEW_KEY, ServicePlan
from chapiteau.service.pipeline.error_views import error_view, problem_from
from chapiteau.service.pipeline.operation_plan import Plan
from chapiteau.service.pipeline.reply import problem_reply, to_response
from chapiteau.service.protocol.headers import ROUTE_KEY, Environ
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.protocol.versions import Versions

__all__ = ["FastPath", "matching_views", "pyramid_view"]

_VIEW_TYPES = (IView, ISecuredView, IMultiView)
_EVENTS = (NewRequest, BeforeTraversal, ContextFound, NewResponse)


def pyramid_view(
    plans: dict[str, Plan],
    route: str,
    *,
    closed: frozenset[str] = frozenset(),
    number: int | None = None,
) -> Any:
    """The Pyramid view of a service, whose plan will stand under the route's name.

    Methods in `closed` have views of their own: here they answer 404, as Pyramid does when no
    predicate fits; or 406 and 415, when it was the media types that no view fits. With `number` it
    is that of one among several operations of a method.
    """

    def view(_context: Any, request: Any) -> Any:
        plan = plans[route]
        if request.method in closed:
            matching_views(plan, request)
            raise PredicateMismatch("no view for this request")
        match = request.matchdict
        if number is not None:
            request.environ[VIEW_KEY] = number
        request.environ[ROUTE_KEY] = request.matched_route.pattern
        captures = [_text(match[name]) for name in plan.names] if match else []
        made = plan.run(request.environ, request, captures)
        return to_response(made)

    return view


def matching_views(plan: Any, request: Any) -> frozenset[int]:
    """The numbers of a method's views that the media types of a request fit.

    Raises ProblemError (406, 415) when it has several and none fits.
    """
    views = plan.views(request.method) if isinstance(plan, ServicePlan) else None
    return frozenset() if views is None else views.fitting(request)


def _text(value: Any) -> str:
    """One string, also for what `*rest` has matched."""
    return "/".join(value) if isinstance(value, tuple) else str(value)


def _bare(factory: Any) -> Any:
    """The class of requests when nobody has a say in how one is made; else None."""
    if not isinstance(factory, type) or not issubclass(factory, BaseRequest):
        return None
    made: Any = factory
    plain = made.__init__ is BaseRequest.__init__ and made.__new__ is object.__new__
    return factory if plain else None


class _Entry(NamedTuple):
    """A route, the plan that answers for it on the fast path, and its request interface."""

    route: Any
    plan: Plan | None
    names: tuple[str, ...]
    iface: Any


class FastPath:
    """An execution policy: looks the path up, makes a real Request, runs the plan."""

    def __init__(
        self, plans: dict[str, Plan], versions: Callable[[], Versions | None] = lambda: None
    ) -> None:
        self._plans = plans
        self._versions_of = versions
        self._ready = False
        self._versions: Versions | None = None
        self._tables: dict[str, RouteTable] = {}
        self._table = RouteTable()
        self._routes: list[_Entry] = []
        self._ours: dict[tuple[Any, type], bool] = {}  # whether `error_view` answers for a problem
        self._extensions: Any = None
        self._new_request: Any = None
        self._bare: Any = None

    def __call__(self, environ: Environ, router: Any) -> Any:
        if not self._ready:
            self._prepare(router)
        if type(environ) is not dict:
            return default_execution_policy(environ, router)
        path = environ.get("PATH_INFO") or "/"  # both may be absent (PEP 3333)
        if not path.isascii():
            try:
                path = path.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                return default_execution_policy(environ, router)
        table = self._table
        if self._versions is not None:
            try:
                table = self._tables[self._versions.choose(environ)]
            except ProblemError:  # whether that matters here is for the routes to say
                return default_execution_policy(environ, router)
        found = table.find(path)
        if found is None:
            return default_execution_policy(environ, router)
        entry = self._routes[found[0]]
        if entry[1] is None:
            return default_execution_policy(environ, router)
        return self._run(environ, router, entry, found[1])

    def _run(self, environ: Environ, router: Any, entry: _Entry, captures: list[str]) -> Any:
        route, plan, names, iface = entry
        if self._bare is not None:
            # What WebOb's __init__ comes to for a plain dict, at a third of its price.
            request = object.__new__(self._bare)
            attrs = request.__dict__
            attrs["environ"] = environ
        else:
            request = self._new_request(environ)
            attrs = request.__dict__
        registry = router.registry
        attrs["registry"] = registry
        attrs["invoke_subrequest"] = router.invoke_subrequest
        attrs["matched_route"] = route
        attrs["request_iface"] = iface
        environ[ROUTE_KEY] = route.pattern
        attrs["matchdict"] = dict(zip(names, captures, strict=True)) if names else {}
        attrs["context"] = attrs["root"] = router.root_factory(request)
        if self._extensions is not None:
            apply_request_extensions(request, extensions=self._extensions)
        stack = manager.stack  # as manager.push does
        stack.append({"registry": registry, "request": request})
        try:
            try:
                made = plan.run(environ, request, captures)  # type: ignore[union-attr]
            except Exception as exc:  # noqa: BLE001 — as Pyramid's exception tween: any error has a view
                made = self._error_reply(request, exc)
            if "response_callbacks" in attrs:
                made = to_response(made)
                request._process_response_callbacks(made)  # noqa: SLF001 — as the router does
            return made
        finally:
            if "finished_callbacks" in attrs:
                request._process_finished_callbacks()  # noqa: SLF001 — as the router does
            if "exc_info" in attrs:  # its traceback holds the request: break the cycle
                del attrs["exc_info"], attrs["exception"]
            if stack:
                stack.pop()

    def _error_reply(self, request: Any, error: Exception) -> Any:
        """The answer to an exception, as Pyramid's exception tween gives it.

        `request.exception` and `request.exc_info` stay set: callbacks decide by them whether to
        commit.
        """
        attrs = request.__dict__
        exc_info = sys.exc_info()
        if isinstance(error, ProblemError) and self._is_ours(request, type(error)):
            attrs["exception"], attrs["exc_info"] = error, exc_info
            return problem_reply(error, request.environ)
        try:
            return request.invoke_exception_view(exc_info)
        except Exception:  # noqa: BLE001 — a view that fails must not hide the first error
            attrs["exception"], attrs["exc_info"] = error, exc_info
            return problem_reply(problem_from(error, request.environ), request.environ)

    def _is_ours(self, request: Any, kind: type) -> bool:
        """Whether `error_view` would answer for an exception of this class."""
        iface = request.request_iface
        known = self._ours.get((iface, kind))
        if known is None:
            wanted = (IExceptionViewClassifier, iface.combined, implementedBy(kind))
            lookup = request.registry.adapters.lookup
            views = [lookup(wanted, view_type, name="") for view_type in _VIEW_TYPES]
            found = [view for view in views if view is not None]
            known = all(getattr(view, "__original_view__", None) is error_view for view in found)
            self._ours[iface, kind] = known
        return known

    # ── at the first request: what may be skipped? ──────────────────────────────────────────
    def _prepare(self, router: Any) -> None:
        registry = router.registry
        is_open = not self._obstacles(registry)
        mapper = registry.queryUtility(IRoutesMapper)
        versions = self._versions_of()
        if versions is not None and versions.by != "path":
            self._versions = versions
            self._tables = {name: RouteTable() for name in versions.names}
        routes: list[_Entry] = []
        for number, route in enumerate(mapper.get_routes() if mapper else ()):
            plan = self._plans.get(route.name)
            version = getattr(plan, "version", "")
            usable = is_open and plan is not None and plan.plain
            # The one predicate of a version is what chooses among the tables.
            usable = usable and len(route.predicates) == bool(version)
            usable = usable and "*" not in route.pattern  # its match is a tuple, not a text
            iface = registry.queryUtility(IRouteRequest, name=route.name)
            usable = usable and iface is not None and route.factory is None
            for name, table in self._tables.items() if self._tables else [("", self._table)]:
                if version in ("", name):
                    table.add(number, route.pattern, route.match)
            names = path_parameters(route.pattern)
            routes.append(_Entry(route, plan if usable else None, names, iface))
        self._extensions = router.request_extensions
        self._new_request = router.request_factory
        self._bare = _bare(router.request_factory)
        self._routes, self._ready = routes, True

    @staticmethod
    def _obstacles(registry: Any) -> list[str]:
        """What keeps the fast path closed, in words."""
        found = []
        tweens = registry.queryUtility(ITweens)
        names = [name for name, _ in (tweens.explicit or tweens.implicit())] if tweens else []
        found += [f"tween {name}" for name in names if name != EXCVIEW]
        for event in _EVENTS:
            wanted = implementedBy(event)
            if any(True for _ in registry.adapters.subscriptions([wanted], None)):
                found.append(f"subscriber to {event.__name__}")
        if registry.adapters.lookup([Interface], ITraverser) is not None:
            found.append("traverser")
        return found
