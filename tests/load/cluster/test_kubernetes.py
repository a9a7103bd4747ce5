"""The keys and manifests of `chapiteau load k8s`, tried on a real scheduler over TLS."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from chapiteau.load.cli.k8s import k8s
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import LoadStep
from tests.load.workers.test_local_workers import plan
from tests.support import wait_for

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")


def printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The documents by kind and name."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(k8s, ["--workers", "3", "--image", "example.org/load:1"])
    assert done.exit_code == 0, done.output
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {f"{d['kind']}/{d['metadata']['name']}": d for d in documents}


def test_pods_run_with_no_more_rights_than_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = printed(tmp_path, monkeypatch)
    assert found["Deployment/chapiteau-load-worker"]["spec"]["replicas"] == 3
    for part in ("scheduler", "worker"):
        deployment = found[f"Deployment/chapiteau-load-{part}"]["spec"]
        pod = deployment["template"]["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        assert deployment["selector"]["matchLabels"] == labels
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert pod["containers"][0]["image"] == "example.org/load:1"
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    for path in (tmp_path / ".chapiteau" / "k8s").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("option", ["--cpu=two", "--memory=1 GB", "--memory=-1"])
def test_amounts_that_kubernetes_would_refuse_make_no_keys(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(k8s, ["--image", "example.org/load:1", option])
    assert done.exit_code == 2
    assert "is no amount, for example 2, 500m or 1Gi" in done.output
    assert not (tmp_path / ".chapiteau").exists()


@pytest.mark.slow
async def test_the_printed_keys_and_settings_make_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, Security

    from chapiteau.load.cluster.dask_cluster import DaskCluster, expected_of, security_from

    found = printed(tmp_path, monkeypatch)
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, text in found["Secret/chapiteau-load-tls"]["stringData"].items():
        (keys / name).write_text(text)
    settings = found["ConfigMap/chapiteau-load-dask"]["data"]["dask.yaml"]
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "dask.yaml").write_text(settings.replace("/etc/chapiteau-load", str(keys)))
    containers = [
        found[f"Deployment/chapiteau-load-{part}"]["spec"]["template"]["spec"]["containers"][0]
        for part in ("scheduler", "worker")
    ]
    file = tmp_path / "scheduler.json"
    processes = []
    with Target("queue", mean=0.0001, fixed=True) as target:
        try:
            for container in containers:
                argv = [
                    {"8786": "0"}.get(word, word)
                    for word in container["command"]
                    if not word.startswith("tls://")
                ]
                kind = argv[1]
                argv = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *argv[2:]]
                argv += ["--scheduler-file", str(file), "--host", "127.0.0.1"]
                env = {"DASK_CONFIG": str(tmp_path / "dask"), "PATH": "/usr/bin:/bin"}
                processes.append(
                    subprocess.Popen(argv, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)
                )
                wait_for(file.is_file, 60, "the scheduler wrote its file")
            address = json.loads(file.read_text())["address"]
            assert address.startswith("tls://")
            stranger = Security.temporary()  # type: ignore[no-untyped-call]
            with pytest.raises(OSError, match="TLS certificate does not match"):
                await Client(address, security=stranger, asynchronous=True, timeout=2)  # type: ignore[no-untyped-call]
            cluster = DaskCluster(address, security=security_from(tmp_path / ".chapiteau" / "k8s"))
            client = await cluster._connected()
            await client.wait_for_workers(1, timeout=60)
            assert expected_of(tmp_path / ".chapiteau" / "k8s") == 3
            async with DistributedWorkers(
                cluster, plan(target.url), processes=1, on_loss="stop"
            ) as team:
                totals = Totals()
                await team.run(LoadStep(shape=constant_shape(50, 1), arrivals="even"), totals)
            assert (totals.requests, totals.bad) == (50, 0)
        finally:
            for process in processes:
                process.kill()
                process.wait()
