"""What Kubernetes is told: a scheduler, workers spread over nodes, and TLS between them."""

import json
from typing import Any, Final

__all__ = ["manifests"]

NAME: Final = "chapiteau-load"
PORT: Final = 8786
_KEYS: Final = "/etc/chapiteau-load"
_SCHEDULER_MEMORY: Final = "512Mi"


def manifests(
    *, workers: int, image: str, cpu: str, memory: str, ca: str, node: str, node_key: str
) -> str:
    """YAML for `kubectl apply -f -`; each document is JSON, which YAML 1.2 contains.

    Each worker pod carries one relay, with a load process for each core that `cpu` gives it.
    """
    documents = [
        _secret({"ca.pem": ca, "node.pem": node, "node.key": node_key}),
        _config(),
        _service(),
        _scheduler(image),
        _workers(workers, image, cpu, memory),
        _policy(),
    ]
    return "".join(f"---\n{json.dumps(document, indent=2)}\n" for document in documents)


def _meta(part: str) -> dict[str, Any]:
    return {"name": f"{NAME}-{part}", "labels": _labels(part)}


def _labels(part: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": part}


def _secret(texts: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _meta("tls"),
        "type": "Opaque",
        "stringData": texts,
    }


def _config() -> dict[str, Any]:
    """Dask's own configuration: TLS and nothing else, and no task twice."""
    pair = {"cert": f"{_KEYS}/node.pem", "key": f"{_KEYS}/node.key"}
    settings = {
        "distributed": {
            "comm": {
                "require-encryption": True,
                "tls": {
                    "ca-file": f"{_KEYS}/ca.pem",
                    "scheduler": pair,
                    "worker": pair,
                    "client": pair,
                },
            },
            "scheduler": {"allowed-failures": 0},
            "worker": {"profile": {"enabled": False}},
        }
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta("dask"),
        "data": {"dask.yaml": json.dumps(settings, indent=2)},
    }


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta("scheduler"),
        "spec": {
            "selector": _labels("scheduler"),
            "ports": [{"name": "dask", "port": PORT, "targetPort": PORT}],
        },
    }


def _scheduler(image: str) -> dict[str, Any]:
    command = ["dask", "scheduler", "--protocol", "tls", "--port", str(PORT), "--no-dashboard"]
    resources = {"requests": {"cpu": "500m", "memory": _SCHEDULER_MEMORY}}
    return _deployment("scheduler", 1, _pod("scheduler", image, command, resources))


def _workers(count: int, image: str, cpu: str, memory: str) -> dict[str, Any]:
    command = ["dask", "worker", f"tls://{NAME}-scheduler:{PORT}", "--protocol", "tls"]
    command += ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60"]
    room = {"cpu": cpu, "memory": memory}
    pod = _pod("worker", image, command, {"requests": room, "limits": room})
    # Load from one machine is not load from many.
    pod["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _labels("worker")},
        }
    ]
    return _deployment("worker", count, pod)


def _pod(part: str, image: str, command: list[str], resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "fsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": part,
                "image": image,
                "command": command,
                "env": [
                    {"name": "DASK_CONFIG", "value": "/etc/dask"},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 — the pod's own
                ],
                "resources": resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "tls", "mountPath": _KEYS, "readOnly": True},
                    {"name": "dask", "mountPath": "/etc/dask", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "tls", "secret": {"secretName": f"{NAME}-tls", "defaultMode": 0o440}},
            {"name": "dask", "configMap": {"name": f"{NAME}-dask"}},
        ],
    }


def _deployment(part: str, replicas: int, pod: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(part),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": _labels(part)},
            "template": {"metadata": {"labels": _labels(part)}, "spec": pod},
        },
    }


def _policy() -> dict[str, Any]:
    """Only each other may talk to them: TLS guards the door, this hides it."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta("policy"),
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}}}]}
            ],
        },
    }
