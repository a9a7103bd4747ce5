"""A load test with everything looked up, who carries it out, and what is known of it."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import Problem
from chapiteau.load.cluster import ssh
from chapiteau.load.cluster.cluster_backend import ClusterBackend
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.execution.storage import LiveFile
from chapiteau.load.locations import Location, parse_location
from chapiteau.load.protocols import urls
from chapiteau.load.report.redaction import redact_url
from chapiteau.load.report.result import Facts, TimelinePoint
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.settings import LoadTest, load_shape
from chapiteau.load.telemetry.exporter import Exporter
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor
from chapiteau.load.workers.documents import source_digest
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.plan import DocumentSource, FileSource, Plan, Source

__all__ = [
    "Job",
    "RunObserver",
    "Workers",
    "exporter_for",
    "machine_info",
    "process_count",
    "run_facts",
    "workers_for",
]

Workers = LocalWorkers | DistributedWorkers

# Settings that may hold secrets: a report goes from hand to hand.
_UNSHOWN: Final = frozenset(
    {
        "headers",
        "options",
        "client_key",
        "bearer",
        "basic",
        "api_keys",
        "variables",
        "export",
        "export_headers",
        "notify",
        "prometheus",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A test with everything looked up: settings, where requests come from, whereto."""

    test: LoadTest
    name: str
    source: Source
    base: str
    target: str
    command: tuple[str, ...] = ()
    folder: Path = Path(".chapiteau")  # the project's run folder
    problems: tuple[Problem, ...] = ()  # of the document: what it does without

    def names(self, kind: str) -> dict[str, str]:
        """What watchers and results call it."""
        return {"kind": kind, "name": self.name, "target": self.target}

    @property
    def is_replay(self) -> bool:
        """Whether requests go out at an access log's own moments."""
        return isinstance(self.source, DocumentSource) and self.source.is_replay

    @property
    def openapi(self) -> str:
        """The OpenAPI document that requests are made from; "" without one."""
        source = self.source
        if isinstance(source, DocumentSource) and source.kind == "openapi":
            return source.text
        return ""

    def plan(self) -> Plan:
        """What the load processes are told."""
        test = self.test
        return Plan(
            source=self.source,
            base=self.base,
            scenarios=test.scenarios,
            seed=test.seed,
            tick=test.tick,
            pace=test.pace,
            most_users=test.most_users,
            timeout=test.timeout,
            headers=test.headers,
            allow=test.allow,
            options=test.options,
            asked={
                "users": test.users,
                "seconds": load_shape(test)[0].seconds,
                "sessions": test.iterations,
            },
            connection=ConnectionSettings(
                http2=test.http2,
                streams=test.streams,
                connect_timeout=test.connect_timeout,
                first_byte_timeout=test.first_byte_timeout,
                verify=test.verify,
                ca_file=test.ca_file,
                client_certificate=test.client_certificate,
                client_key=test.client_key,
                resolve=tuple(test.resolve.items()),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunObserver:
    """Who wants to see the test while it runs."""

    line: Callable[[TimelinePoint, float, float], None] = lambda _p, _e, _t: None
    live: LiveFile | None = None
    supervised: SupervisorMonitor | None = (
        None  # who runs the service: its numbers go into the report
    )
    say: Callable[[str], None] = lambda _text: None  # what people have to know at once
    leaving: Callable[[], None] | None = None  # done even when a second Ctrl-C ends everything


def process_count(test: LoadTest, target: str) -> int:
    """How many load processes: as many as asked for, or half of this machine when the service
    runs on it too, or all of it."""
    if test.processes:
        return test.processes
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    local = bool(target) and urls.is_loopback(urls.parse(target).host)
    wanted = max(1, cores // 2) if local else cores
    # A number of users or sessions smaller than that needs no more processes.
    fewest = test.users if test.users is not None else test.iterations
    return min(wanted, fewest) if fewest else wanted


def workers_for(job: Job) -> Workers:
    """Local workers, or those on the machines that `on` names; not started yet.

    Raises UsageError.
    """
    test, plan = job.test, job.plan()
    if not test.on:
        return LocalWorkers(plan, process_count(test, job.base))
    cluster = _cluster(parse_location(test.on), test, plan, job.folder)
    return DistributedWorkers(cluster, plan, processes=test.processes, on_loss=test.on_loss)


def _cluster(place: Location, test: LoadTest, plan: Plan, folder: Path) -> ClusterBackend:
    if place.kind == "local":
        return ssh.local_relays(place.hosts)
    if place.kind == "ssh":
        return _ssh(place, test, plan)
    try:
        from chapiteau.load.cluster.dask_cluster import DaskCluster, expected_of, security_from
    except ImportError as exc:
        raise _missing("cluster", exc) from exc
    if place.kind == "k8s":
        security, expected = security_from(folder / "k8s"), expected_of(folder / "k8s")
        return DaskCluster(_k8s_address(), security=security, expected=expected)
    if place.kind == "scheduler-file":
        return DaskCluster(scheduler_file=place.address, insecure=test.insecure)
    return DaskCluster(place.address, insecure=test.insecure)


def _ssh(place: Location, test: LoadTest, plan: Plan) -> ssh.PipeCluster:
    if not test.bootstrap:
        return ssh.ssh_relays(place.hosts, test.on_ssh, test.on_python or "python3")
    from chapiteau.load.cluster.bootstrap import ssh_with_uv

    scenario = Path(plan.source.path) if isinstance(plan.source, FileSource) else None
    return ssh_with_uv(place.hosts, test.on_ssh, test.on_python, scenario)


def _k8s_address() -> str:
    """Inside the cluster its service; from outside what `kubectl port-forward` opens here."""
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    return f"tls://{'chapiteau-load-scheduler' if inside else '127.0.0.1'}:8786"


def _missing(extra: str, exc: ImportError) -> UsageError:
    return UsageError(
        f"--on needs the extra [{extra}]: {exc}", hint=f"pip install 'chapiteau[{extra}]'"
    )


# ── what is known of a test ───────────────────────────────────────────────────────────────────


def exporter_for(job: Job, started: float) -> Exporter:
    """Who is told numbers while the test runs."""
    labels = (("target", job.target), ("test", job.name))
    return Exporter(job.test.export, job.test.export_headers, labels, started)


def run_facts(
    job: Job, kind: str, started: float, seconds: float, shape: Shape | None, *, is_open: bool
) -> Facts:
    """What the document says beside the counts."""
    plan: dict[str, Any] = {
        key: redact_url(value) if isinstance(value, str) else value
        for key, value in asdict(job.test).items()
        if value not in (None, "", (), {}) and key not in _UNSHOWN
    }
    plan["model"] = "open" if is_open else "closed"
    if digest := source_digest(job.source):
        plan["sha256"] = digest
    if shape is not None:
        plan["load"] = shape.outline("/s" if is_open else " users")
    return Facts(
        kind=kind,
        name=job.name,
        target=job.target,
        started=started,
        seconds=seconds,
        plan=plan,
        command=list(job.command),
        machine=machine_info(),
        version=version("chapiteau"),
    )


def machine_info() -> dict[str, str | int | None]:
    """What the load came from."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "engine": choose_backend().name,
    }
