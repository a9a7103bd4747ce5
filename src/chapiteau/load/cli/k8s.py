"""`chapiteau load k8s`: what Kubernetes needs to put load on."""

import re
import sys
from typing import Final

import click

from chapiteau.core.errors import UsageError
from chapiteau.load.cli.options import config_flag, folder_of

__all__ = ["k8s"]


_CPU: Final = "Cores of each worker pod."
_MEMORY: Final = "Memory of each worker pod."
_QUANTITY: Final = re.compile(r"\d+(\.\d+)?(m|k|[KMGTPE]i?)?", re.ASCII)


def _quantity(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """As Kubernetes writes amounts: what it would refuse is refused before it has our keys."""
    if not _QUANTITY.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no amount, for example 2, 500m or 1Gi")
    return value


@click.command()
@click.option("--workers", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option("--image", required=True, help="An image with chapiteau[cluster] of this version.")
@click.option("--cpu", default="2", show_default=True, callback=_quantity, help=_CPU)
@click.option("--memory", default="1Gi", show_default=True, callback=_quantity, help=_MEMORY)
@config_flag
def k8s(workers: int, image: str, cpu: str, memory: str, config: str | None) -> None:
    """Print Kubernetes manifests of a cluster for load tests, and keep the key to use it.

    Running it again makes new keys: apply the new output as well.

    \b
    chapiteau load k8s --workers 20 --image registry.example.org/load:1 | kubectl apply -f -
    kubectl port-forward service/chapiteau-load-scheduler 8786 &
    chapiteau load run scenario.py --on k8s --rate 20000
    """
    import datetime

    from chapiteau.io.clock import SystemClock

    try:
        from chapiteau.load.cluster.kubernetes import Credentials, manifests, save_credentials
    except ImportError as exc:
        raise UsageError(
            f"keys for a cluster need the extra [cluster]: {exc}",
            hint="pip install 'chapiteau[cluster]'",
        ) from exc
    if sys.stdout.isatty():
        click.echo("a key is in what follows: pipe it into kubectl apply -f -", err=True)
    now = datetime.datetime.fromtimestamp(SystemClock().wall(), datetime.UTC)
    made = Credentials.made(now)
    folder = folder_of(config) / "k8s"
    text = manifests(made, workers=workers, image=image, cpu=cpu, memory=memory)
    save_credentials(made, folder, workers)
    click.echo(text, nl=False)
    click.echo(f"our key to it: {folder} (valid for 30 days)", err=True)
