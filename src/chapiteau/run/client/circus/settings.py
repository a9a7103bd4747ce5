"""The settings of a service as Circus's options, from the running configuration."""

import signal
from pathlib import Path
from typing import Any

from chapiteau.run.client.aio import AsyncClient
from chapiteau.run.logic.circus.options import watcher_options
from chapiteau.run.logic.status import ServiceStatus

__all__ = ["Settings"]


class Settings:
    """Asked anew every time: they change with the configuration."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def of(self, service: ServiceStatus) -> dict[str, Any]:
        """Every option of one service."""
        running = await self._client.config()
        status = await self._client.status()
        return watcher_options(
            running.get("service", {}).get(service.name, {"command": service.command}),
            wanted=service.wanted,
            folder=str(Path(status.config).parent),
            signals={one.name: one.value for one in signal.Signals},
        )
