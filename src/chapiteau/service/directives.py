"""What `config.include("chapiteau.service")` brings into a Configurator."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pyramid.events import ApplicationCreated
from pyramid.security import NO_PERMISSION_REQUIRED

from chapiteau.core.problems import did_you_mean
from chapiteau.core.units import parse_size
from chapiteau.service.addons import Metrics, SharedMetrics, metrics_service
from chapiteau.service.addons.documents import docs_services, document_service
from chapiteau.service.addons.health import HealthKind, health_service
from chapiteau.service.addons.idempotency import IdempotencyStore
from chapiteau.service.addons.jobs import Jobs, JobStore, MemoryJobs, job_services
from chapiteau.service.addons.rate_limits import RateStore
from chapiteau.service.addons.tracing import trace_application
from chapiteau.service.application import REGISTRY_KEY, Application, application_of
from chapiteau.service.auth import with_policy_auth
from chapiteau.service.declare.operation import read_operation
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.signature import OperationOptions
from chapiteau.service.errors import DeclarationError
from chapiteau.service.openapi.document import ApiInfo
from chapiteau.service.openapi.responses import ErrorFormat
from chapiteau.service.pipeline.content_coding import Compressor
from chapiteau.service.pipeline.error_views import add_error_views
from chapiteau.service.pipeline.fast_path import FastPath, matching_views, pyramid_view
from chapiteau.service.pipeline.routes import ROUTE_PREFIX, use_service_routes
from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.versions import Versions

__all__ = ["includeme"]


def includeme(config: Any) -> None:
    """Directives, error views, /openapi.json, /live, /ready, and both paths.

    Settings: `chapiteau.max_body` (1MiB), `chapiteau.openapi_path` (/openapi.json),
    `chapiteau.health` (true), `chapiteau.fast_path` (true), `chapiteau.compress` (off),
    `chapiteau.check_answers` (false).
    """
    settings = config.registry.settings
    path = settings.get("chapiteau.openapi_path", "/openapi.json")
    least = str(settings.get("chapiteau.compress", "off"))
    application = config.registry[REGISTRY_KEY] = Application(
        max_body=int(parse_size(settings.get("chapiteau.max_body", "1MiB"))),
        check=_true(settings.get("chapiteau.check_answers", False)),
        packer=Compressor(int(parse_size(least))) if least not in ("", "off") else None,
        errors=_error_format(settings.get("chapiteau.errors", "problem")),
        document_path=_full(config, path) if path else "",
    )
    use_service_routes(config)
    for name, directive in _DIRECTIVES.items():
        config.add_directive(name, directive)
    config.add_route_predicate("api_version", _VersionPredicate)
    config.add_view_predicate("service_view", _ViewPredicate)
    add_error_views(config)
    config.add_subscriber(_check_links, ApplicationCreated)
    if path:
        _add_documents(config, application, path)
        if docs := settings.get("chapiteau.docs_path", ""):
            _add_docs(config, docs)
    if _true(settings.get("chapiteau.health", True)):
        for kind in ("live", "ready"):
            config.add_service(health_service(kind, f"/{kind}", application.checks), shared=True)
    fast = settings.get("chapiteau.fast_lane", True)  # its name before 0.2
    if _true(settings.get("chapiteau.fast_path", fast)):
        config.set_execution_policy(FastPath(application.plans, lambda: application.versions))


def _check_links(event: Any) -> None:
    """Only now all operations are known to which a link may lead."""
    registry = event.app.registry
    for document in application_of(registry).documents.values():
        document.check_links()
    # Pyramid sends four events a request (a quarter of its time) as soon as anybody has listened.
    if sum(1 for _ in registry.registeredHandlers()) == 1:  # nobody but us
        registry.has_listeners = False


def _error_format(value: Any) -> ErrorFormat:
    if value not in ("problem", "cornice"):
        raise DeclarationError(
            f"chapiteau.errors = {value!r} is no format of errors", hint="problem, or cornice"
        )
    return "cornice" if value == "cornice" else "problem"


def _true(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes", "on")


def _add_documents(config: Any, application: Application, path: str) -> None:
    """The document at its path, and as YAML beside it."""
    made = document_service(path, application.document_of)
    config.add_service(made, shared=True)
    if path.endswith(".json"):
        beside = path.removesuffix(".json") + ".yaml"
        config.add_service(
            document_service(beside, application.document_of, form="yaml"), shared=True
        )


def _add_service(config: Any, service: Service, *, shared: bool = False) -> None:
    """`config.add_service(service)`: what a scan does for every Service it finds.

    A `shared` one belongs to all versions and is the same in each, as health checks are.
    """
    application = application_of(config.registry)
    versions = application.versions
    if versions is None or shared:
        if not shared:
            application.close_versions()
        _add_one(config, application, service)
        return
    named = {v for op in service.operations for v in op.options.versions}
    if unknown := sorted(named.difference(versions.names)):
        raise DeclarationError(
            f"{service!r} names the version {unknown[0]!r}",
            hint=did_you_mean(unknown[0], versions.names) or "name it in set_versions",
        )
    for version in versions.names:
        part = service.in_version(version)
        if part.operations:
            _add_one(config, application, part, version)


def _add_one(config: Any, application: Application, service: Service, version: str = "") -> None:
    versions = application.versions
    before = versions.path(version) if versions and version else ""
    path = before + "/" + service.path.lstrip("/")
    full = _full(config, path)
    chosen = "" if before else version
    route = service.pyramid_route or f"{ROUTE_PREFIX}{service.name} {full} {chosen}".rstrip()

    def register() -> None:
        if not service.route.keys() - {"factory", "traverse"}:  # a predicate may tell them apart
            application.claim(full, chosen, service)
        application.plans[route] = application.plan(service, full, version)
        told = with_policy_auth(service, config.registry)
        for name in (version,) if version else tuple(application.documents):
            application.documents[name].add(told, full, shared=not version)

    config.action(
        ("chapiteau service", service.name, version),
        register,
        introspectables=(_introspectable(config, service, full, version),),
    )
    options = {**service.route, "api_version": chosen} if chosen else service.route
    if not service.pyramid_route:
        config.add_route(route, path, **options)
    _add_views(config, application, service, route)


def _introspectable(config: Any, service: Service, path: str, version: str) -> Any:
    made = config.introspectable(
        "chapiteau services", f"{service.name} {version}".rstrip(), repr(service), "service"
    )
    made["service"], made["path"], made["version"] = service, path, version
    return made


class _VersionPredicate:
    """`api_version="2"` on a route: the request means this version."""

    def __init__(self, value: str, config: Any) -> None:
        self._value = value
        self._application = application_of(config.registry)

    def text(self) -> str:
        """For Pyramid's own listings."""
        return f"api_version = {self._value}"

    phash = text

    def __call__(self, _info: Any, request: Any) -> bool:
        versions = self._application.versions
        return versions is None or versions.choose(request.environ) == self._value


class _ViewPredicate:
    """`service_view=(route, 1)` on a view: the request's media types mean the second one."""

    def __init__(self, value: tuple[str, int], config: Any) -> None:
        self._route, self._number = value
        self._application = application_of(config.registry)

    def text(self) -> str:
        """For Pyramid's own listings."""
        return f"service_view = {self._number}"

    phash = text

    def __call__(self, _context: Any, request: Any) -> bool:
        return self._number in matching_views(self._application.plans[self._route], request)


def _set_versions(config: Any, versions: Versions) -> None:
    """`config.set_versions(Versions("1", "2", by="header"))`, before the first service."""
    application = application_of(config.registry)
    application.set_versions(versions)
    path = (config.registry.settings or {}).get("chapiteau.openapi_path", "/openapi.json")
    for name in versions.names if path and versions.by == "path" else ():
        of_version = functools.partial(application.document_of, always=name)
        config.add_service(document_service(versions.path(name) + path, of_version), shared=True)


def _add_views(config: Any, application: Application, service: Service, route: str) -> None:
    """One view for the whole service, and one more for each method that has view options."""

    # The plan is made when the configuration is committed: the view asks for it by name.
    # Law: a method with a view of its own is never answered by the open view, whatever its
    # predicates say; else a predicate that fails would open what a permission has closed.
    own = {one.method for one in service.operations if one.options.view}
    own |= {"HEAD"} if "GET" in own and "HEAD" not in service.methods else set()
    rest = pyramid_view(application.plans, route, closed=frozenset(own))
    config.add_view(rest, route_name=route, permission=NO_PERMISSION_REQUIRED)
    for method in service.methods:
        views = [one for one in service.operations if one.method == method]
        if method not in own:
            continue
        methods = (method, "HEAD") if method == "GET" and "HEAD" not in service.methods else method
        for number, one in enumerate(views):
            options = {"permission": NO_PERMISSION_REQUIRED} if not one.options.view else {}
            options |= one.options.view
            if len(views) > 1:
                options["service_view"] = (route, number)
            view = pyramid_view(application.plans, route, number=number if len(views) > 1 else None)
            config.add_view(view, route_name=route, request_method=methods, **options)


def _set_api(
    config: Any,
    *,
    title: str,
    version: str,
    description: str = "",
    servers: tuple[str, ...] = (),
) -> None:
    """`config.set_api(title=…, version=…)`: what the document says about the whole."""
    application = application_of(config.registry)
    info = ApiInfo(
        title=title, version=version, description=description, servers=servers,
        errors=application.errors,
    )  # fmt: skip
    for document in application.documents.values():
        document.describe(info)


def _add_webhook(config: Any, name: str, request: Callable[..., Any], **options: Any) -> None:
    """`config.add_webhook("note-written", function)`: a request that the service sends to others.

    The function's signature and docstring describe it in the document; it is never called.
    `options` are those of an operation: summary, tags, status …
    """
    read = read_operation("POST", "/", request, OperationOptions(**options))
    for document in application_of(config.registry).documents.values():
        document.add_webhook(name, read)


def _add_docs(config: Any, path: str = "/docs") -> None:
    """`config.add_docs("/docs")`, or the setting `chapiteau.docs_path`: the document as a page."""
    application = application_of(config.registry)
    if not application.document_path:
        raise DeclarationError(
            "a page of docs needs a document", hint="leave chapiteau.openapi_path as it was"
        )

    def about() -> tuple[str, tuple[str, ...]]:
        versions = application.versions
        return application.document.info.title, versions.names if versions else ()

    path = "/" + path.strip("/")
    places = (_full(config, path), application.document_path)
    for service in docs_services(path, places, about):
        config.add_service(service, shared=True)


def _full(config: Any, path: str) -> str:
    """A path with the route prefix that holds now."""
    prefix = (config.route_prefix or "").strip("/")
    return f"/{prefix}{path}" if prefix else path


def _add_jobs(
    config: Any, path: str = "/jobs", *, store: JobStore | None = None, threads: int = 4
) -> None:
    """`config.add_jobs("/jobs", store=SqliteJobs(…))`, before operations that say `later=`."""
    application = application_of(config.registry)
    path = "/" + path.strip("/")
    where = _full(config, path)
    jobs = Jobs(store or MemoryJobs(), application.clock, threads=threads, path=where)
    application.use(jobs=jobs)
    for service in job_services(path, jobs):
        config.add_service(service, shared=True)


def _set_cors(config: Any, policy: CorsPolicy) -> None:
    """`config.set_cors(CorsPolicy(…))`: for every operation that has no policy of its own."""
    application_of(config.registry).use(cors=policy)


def _set_idempotency_store(config: Any, store: IdempotencyStore) -> None:
    """`config.set_idempotency_store(SqliteStore(…))`: keys that all processes share."""
    application_of(config.registry).use(keys=store)


def _set_rate_store(config: Any, store: RateStore) -> None:
    """`config.set_rate_store(SqliteRates(…))`: budgets that all processes share."""
    application_of(config.registry).gate.use(store)


def _add_metrics(config: Any, path: str = "/metrics", *, folder: Path | str = "") -> None:
    """`config.add_metrics()`: count requests per operation, and answer a scraper at `path`.

    With a folder, all processes that name it count together, and each tells the sum.
    """
    application = application_of(config.registry)
    folder = folder or os.environ.get("CHAPITEAU_METRICS_FOLDER", "")
    tally = SharedMetrics(Path(folder)) if folder else None
    metrics = Metrics(application.clock, tally)
    application.use(metrics=metrics)
    config.add_service(metrics_service(path, metrics))


def _add_health_check(
    config: Any,
    name: str,
    call: Callable[[], Any],
    *,
    timeout: float = 1.0,
    kind: HealthKind = "ready",
) -> None:
    """`config.add_health_check("database", ping)`: fails when it raises, says False or hangs."""
    application_of(config.registry).checks.add(name, call, timeout=timeout, kind=kind)


_DIRECTIVES: Final[dict[str, Callable[..., None]]] = {
    "add_service": _add_service,
    "set_api": _set_api,
    "set_versions": _set_versions,
    "add_webhook": _add_webhook,
    "add_jobs": _add_jobs,
    "add_docs": _add_docs,
    "set_cors": _set_cors,
    "set_idempotency_store": _set_idempotency_store,
    "set_rate_store": _set_rate_store,
    "add_metrics": _add_metrics,
    "add_tracing": trace_application,
    "add_health_check": _add_health_check,
}
