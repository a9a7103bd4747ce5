"""Everything that belongs to one application: plans, documents, stores; and how it is found."""

import functools
from collections.abc import Callable
from typing import Any, Final

from chapiteau.io.clock import SystemClock
from chapiteau.service.addons import MeteredPlan, Metrics
from chapiteau.service.addons.documents import ApiDocument
from chapiteau.service.addons.health import HealthChecks
from chapiteau.service.addons.idempotency import IdempotencyStore, MemoryStore, run_once
from chapiteau.service.addons.jobs import Jobs
from chapiteau.service.addons.rate_limits import RateGate
from chapiteau.service.declare.path import openapi_path
from chapiteau.service.declare.service import Service
from chapiteau.service.errors import DeclarationError
from chapiteau.service.openapi.document import ApiInfo
from chapiteau.service.openapi.responses import ErrorFormat
from chapiteau.service.pipeline.content_coding import Compressor
from chapiteau.service.pipeline.dispatch import ServicePlan
from chapiteau.service.pipeline.operation_plan import Plan, PlanDefaults
from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.versions import UnknownVersionError, Versions

__all__ = ["REGISTRY_KEY", "Application", "application_of"]

REGISTRY_KEY: Final = "chapiteau.service"


class Application:
    """Everything that belongs to one application; nothing of it is shared between two."""

    def __init__(
        self,
        *,
        max_body: int,
        check: bool,
        packer: Compressor | None,
        errors: ErrorFormat,
        document_path: str,
    ) -> None:
        self.plans: dict[str, Plan] = {}
        self.versions: Versions | None = None
        self._paths: dict[tuple[str, str], Service] = {}
        self.documents: dict[str, ApiDocument] = {"": ApiDocument(ApiInfo(errors=errors))}
        self.checks = HealthChecks(SystemClock())
        self.max_body = max_body
        self.cors: CorsPolicy | None = None
        self.keys: IdempotencyStore = MemoryStore()
        self.packer = packer
        self.metrics: Metrics | None = None
        self.check = check
        self.errors = errors
        self.jobs: Jobs | None = None
        self.document_path = document_path  # where the document is, with its prefix; empty: nowhere
        self._started = False  # whether a service of its own has been added
        self.clock = SystemClock()
        self.gate = RateGate(self.clock)

    def use(
        self,
        *,
        cors: CorsPolicy | None = None,
        keys: IdempotencyStore | None = None,
        jobs: Jobs | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Take what a directive brings; what is left out stays as it is."""
        self.cors = self.cors if cors is None else cors
        self.keys = self.keys if keys is None else keys
        self.jobs = self.jobs if jobs is None else jobs
        self.metrics = self.metrics if metrics is None else metrics

    def close_versions(self) -> None:
        """A service of its own has been added: from now on set_versions comes too late."""
        self._started = True

    def claim(self, path: str, version: str, service: Service) -> None:
        """Note whose path it is. Raises DeclarationError when it is somebody's already."""
        other = self._paths.setdefault((path, version), service)
        if other is not service:
            raise DeclarationError(
                f"{other!r} and {service!r} have one path, so the second would never answer",
                hint="put the methods of both into one Service",
            )

    def once(self, key: str, fingerprint: str, run: Callable[[], Any]) -> Any:
        """Run at most once per Idempotency-Key."""
        return run_once(self.keys, self.clock, key, fingerprint, run)

    @property
    def document(self) -> ApiDocument:
        """The document, or the default version's."""
        return self.documents[self.versions.default if self.versions else ""]

    def document_of(self, environ: Environ, version: str = "", *, always: str = "") -> ApiDocument:
        """The document of a version by name, or of the one that a request means."""
        if self.versions is None or always:
            return self.documents[always]
        if not version and self.versions.by != "path":
            version = self.versions.named(environ)  # who asks what there is need not know one
        if version and version not in self.documents:
            raise UnknownVersionError(f"there are {', '.join(self.versions.names)}")
        return self.documents[version] if version else self.document

    def set_versions(self, versions: Versions) -> None:
        """Begin a document for each version with what belongs to all of them.

        Raises DeclarationError when it comes too late.
        """
        if self._started or self.versions is not None:
            raise DeclarationError(
                "set_versions comes too late: there are services already",
                hint="say it right after the include, once",
            )
        shared = self.documents[""]
        self.versions = versions
        self.documents = {name: shared.copy(versions, name) for name in versions.names}

    def plan(self, service: Service, path: str, version: str = "") -> ServicePlan:
        """Compile a service for this application."""
        told = self.versions if version else None
        around = PlanDefaults(
            max_body=self.max_body,
            cors=self.cors,
            once_only=self.once,
            packer=self.packer,
            gate=self.gate.enter,
            check_answers=self.check,
            version=version if told is not None and told.by != "path" else "",
            headers=tuple(told.headers(version)) if told else (),
            errors=self.errors,
            begin=self.jobs.begin if self.jobs else None,
            media=functools.partial(told.media, name=version) if told else str,
        )
        if self.metrics is None:
            return ServicePlan(service, path, around)
        made = MeteredPlan(service, path, around)
        made.metrics = self.metrics
        self.metrics.know(service.name, openapi_path(path))
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
    found: Application = registry[REGISTRY_KEY]
    return found
