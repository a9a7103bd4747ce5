"""What `config.include("chapiteau.service")` brings into a Configurator."""

from collections.abc import Callable
from typing import Any, Final

from pyramid.security import NO_PERMISSION_REQUIRED

from chapiteau.core.units import parse_size
from chapiteau.plumbing.clock import SystemClock
from chapiteau.service.engine.answering.coding import Packer
from chapiteau.service.engine.answering.plan import Around, Plan, ServicePlan
from chapiteau.service.engine.document import ApiDocument, document_service
from chapiteau.service.engine.failures import add_failure_views
from chapiteau.service.engine.health import HealthChecks, Kind, health_service
from chapiteau.service.engine.idempotency import IdempotencyStore, MemoryStore, once
from chapiteau.service.engine.lanes import FastLane, normal_view
from chapiteau.service.engine.metrics import MeteredPlan, Metrics, metrics_service
from chapiteau.service.engine.ratelimits import RateGate, RateStore
from chapiteau.service.engine.routes import PREFIX, use_service_routes
from chapiteau.service.engine.service import Service
from chapiteau.service.logic.document.openapi import ApiInfo
from chapiteau.service.logic.wire.cors import CorsPolicy

__all__ = ["Application", "application_of", "includeme"]

_KEY: Final = "chapiteau.service"


class Application:
    """Everything that belongs to one application; nothing of it is shared between two."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.document = ApiDocument()
        self.checks = HealthChecks(SystemClock())
        self.max_body = 1 << 20
        self.cors: CorsPolicy | None = None
        self.keys: IdempotencyStore = MemoryStore()
        self.packer: Packer | None = None
        self.metrics: Metrics | None = None
        self.check = False
        self.clock = SystemClock()
        self.gate = RateGate(self.clock)

    def once(self, key: str, fingerprint: str, run: Callable[[], Any]) -> Any:
        """Run at most once per Idempotency-Key."""
        return once(self.keys, self.clock, key, fingerprint, run)

    def plan(self, service: Service, path: str) -> ServicePlan:
        """Compile a service for this application."""
        around = Around(
            max_body=self.max_body,
            cors=self.cors,
            once_only=self.once,
            packer=self.packer,
            gate=self.gate.enter,
            check_answers=self.check,
        )
        if self.metrics is None:
            return ServicePlan(service, path, around)
        made = MeteredPlan(service, path, around)
        made.metrics = self.metrics
        return made

    def check_answers(self) -> None:
        """From now on hold every answer against its declared type (`chapiteau.check_answers`)."""
        self.check = True
        for plan in self.plans.values():
            if isinstance(plan, ServicePlan):
                plan.check_answers()

    @property
    def services(self) -> list[Service]:
        """The services in the order in which they were added."""
        return [plan.service for plan in self.plans.values() if isinstance(plan, ServicePlan)]


def application_of(registry: Any) -> Application:
    """The application behind a registry (`request.registry`, `app.registry`)."""
    found: Application = registry[_KEY]
    return found


def includeme(config: Any) -> None:
    """Directives, error views, /openapi.json, /live, /ready, and both lanes.

    Settings: `chapiteau.max_body` (1MiB), `chapiteau.openapi_path` (/openapi.json),
    `chapiteau.health` (true), `chapiteau.fast_lane` (true), `chapiteau.compress` (off),
    `chapiteau.check_answers` (false).
    """
    settings = config.registry.settings
    application = config.registry[_KEY] = Application()
    application.max_body = int(parse_size(settings.get("chapiteau.max_body", "1MiB")))
    application.check = _true(settings.get("chapiteau.check_answers", False))
    if (least := str(settings.get("chapiteau.compress", "off"))) not in ("", "off"):
        application.packer = Packer(int(parse_size(least)))
    use_service_routes(config)
    config.add_directive("add_service", _add_service)
    config.add_directive("set_api", _set_api)
    config.add_directive("set_cors", _set_cors)
    config.add_directive("set_idempotency_store", _set_idempotency_store)
    config.add_directive("set_rate_store", _set_rate_store)
    config.add_directive("add_metrics", _add_metrics)
    config.add_directive("add_health_check", _add_health_check)
    add_failure_views(config)
    if path := settings.get("chapiteau.openapi_path", "/openapi.json"):
        config.add_service(document_service(path, application.document))
    if _true(settings.get("chapiteau.health", True)):
        config.add_service(health_service("live", "/live", application.checks))
        config.add_service(health_service("ready", "/ready", application.checks))
    if _true(settings.get("chapiteau.fast_lane", True)):
        config.set_execution_policy(FastLane(application.plans))


def _true(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes", "on")


def _add_service(config: Any, service: Service) -> None:
    """`config.add_service(service)`: what a scan does for every Service it finds."""
    application = application_of(config.registry)
    prefix = (config.route_prefix or "").strip("/")
    path = "/" + service.path.lstrip("/")
    full = f"/{prefix}{path}" if prefix else path
    route = f"{PREFIX}{service.name} {full}"

    def register() -> None:
        application.plans[route] = application.plan(service, full)
        application.document.add(service, full)

    config.action(
        ("chapiteau service", service.name),
        register,
        introspectables=(_introspectable(config, service, full),),
    )
    config.add_route(route, path, **service.route)
    _add_views(config, application, service, route)


def _introspectable(config: Any, service: Service, path: str) -> Any:
    made = config.introspectable("chapiteau services", service.name, repr(service), "service")
    made["service"], made["path"] = service, path
    return made


def _add_views(config: Any, application: Application, service: Service, route: str) -> None:
    """One view for the whole service, and one more for each method that has view options."""

    # The plan is made when the configuration is committed: the view asks for it by name.
    # Law: a method with a view of its own is never answered by the open view, whatever its
    # predicates say; else a predicate that fails would open what a permission has closed.
    own = {method for method, operation in service.operations.items() if operation.options.view}
    own |= {"HEAD"} if "GET" in own and "HEAD" not in service.operations else set()
    rest = normal_view(application.plans, route, closed=frozenset(own))
    config.add_view(rest, route_name=route, permission=NO_PERMISSION_REQUIRED)
    view = normal_view(application.plans, route)
    for method, operation in service.operations.items():
        if operation.options.view:
            methods = (method, "HEAD") if method == "GET" else method
            config.add_view(
                view, route_name=route, request_method=methods, **operation.options.view
            )


def _set_api(
    config: Any,
    *,
    title: str,
    version: str,
    description: str = "",
    servers: tuple[str, ...] = (),
) -> None:
    """`config.set_api(title=…, version=…)`: what the document says about the whole."""
    application_of(config.registry).document.info = ApiInfo(
        title=title, version=version, description=description, servers=servers
    )


def _set_cors(config: Any, policy: CorsPolicy) -> None:
    """`config.set_cors(CorsPolicy(…))`: for every operation that has no policy of its own."""
    application_of(config.registry).cors = policy


def _set_idempotency_store(config: Any, store: IdempotencyStore) -> None:
    """`config.set_idempotency_store(SqliteStore(…))`: keys that all processes share."""
    application_of(config.registry).keys = store


def _set_rate_store(config: Any, store: RateStore) -> None:
    """`config.set_rate_store(SqliteRates(…))`: budgets that all processes share."""
    application_of(config.registry).gate.store = store


def _add_metrics(config: Any, path: str = "/metrics") -> None:
    """`config.add_metrics()`: count requests per operation, and answer a scraper at `path`."""
    application = application_of(config.registry)
    metrics = application.metrics = Metrics(application.clock)
    config.add_service(metrics_service(path, metrics))


def _add_health_check(
    config: Any,
    name: str,
    call: Callable[[], Any],
    *,
    timeout: float = 1.0,
    kind: Kind = "ready",
) -> None:
    """`config.add_health_check("database", ping)`: fails when it raises, says False or hangs."""
    application_of(config.registry).checks.add(name, call, timeout=timeout, kind=kind)
