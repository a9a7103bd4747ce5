"""Which machines put the load on: this one, or those that `on` names."""

from typing import TYPE_CHECKING

from chapiteau.core.errors import UsageError
from chapiteau.load.cluster import ssh as pipes
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.locations import Location, parse_location
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.plan import FileSource

if TYPE_CHECKING:
    from pathlib import Path

    from chapiteau.load.cluster.cluster_backend import ClusterBackend
    from chapiteau.load.settings import LoadTest
    from chapiteau.load.workers.plan import Plan

__all__ = ["create_workers"]


def create_workers(
    test: "LoadTest", plan: "Plan", processes: int, folder: "Path"
) -> LocalWorkers | DistributedWorkers:
    """Local workers, or those on the machines that `test.on` names.

    `folder`: where `chapiteau load k8s` left its credentials. Raises UsageError.
    """
    if not test.on:
        return LocalWorkers(plan, processes)
    cluster = _cluster(parse_location(test.on), test, plan, folder)
    return DistributedWorkers(cluster, plan, processes=test.processes, on_loss=test.on_loss)


def _cluster(place: Location, test: "LoadTest", plan: "Plan", folder: "Path") -> "ClusterBackend":
    if place.kind == "local":
        return pipes.local_relays(place.hosts)
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


def _ssh(place: Location, test: "LoadTest", plan: "Plan") -> pipes.PipeCluster:
    if not test.bootstrap:
        return pipes.ssh_relays(place.hosts, test.on_ssh, test.on_python or "python3")
    from pathlib import Path

    from chapiteau.load.cluster.bootstrap import ssh_with_uv

    scenario = Path(plan.source.path) if isinstance(plan.source, FileSource) else None
    return ssh_with_uv(place.hosts, test.on_ssh, test.on_python, scenario)


def _k8s_address() -> str:
    """Inside the cluster its service; from outside what `kubectl port-forward` opens here."""
    import os

    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    return f"tls://{'chapiteau-load-scheduler' if inside else '127.0.0.1'}:8786"


def _missing(extra: str, exc: ImportError) -> UsageError:
    return UsageError(
        f"--on needs the extra [{extra}]: {exc}", hint=f"pip install 'chapiteau[{extra}]'"
    )
