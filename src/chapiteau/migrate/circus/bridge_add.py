"""`add` and `rm` of circusctl: services in a file of their own, which chapiteau.toml includes."""

import asyncio
import shlex
import tomllib
from pathlib import Path
from typing import Any, Final

from chapiteau.io.files import write_atomic
from chapiteau.io.toml_writer import write_toml
from chapiteau.migrate.circus.protocol import CircusError, Request, errno, settings_of
from chapiteau.run.api.async_client import AsyncClient

__all__ = ["AddedServices"]

_HEAD: Final = ["Written by the Circus bridge: circusctl add and rm."]


class AddedServices:
    """The file is the truth, as everywhere: what was added is there after a reboot too."""

    def __init__(self, client: AsyncClient, path: Path | None) -> None:
        self._client, self._path = client, path
        self._lock = asyncio.Lock()

    async def add(self, request: Request) -> None:
        """A new service. Raises CircusError; then nothing has changed."""
        name, given = request.name, request.properties
        args = given.get("args") or ""
        args = shlex.join(map(str, args)) if isinstance(args, list) else str(args)
        service: dict[str, Any] = {
            "command": f"{request.need('cmd')} {args}".strip(),
            "autostart": bool(given.get("start")),
        }
        for key, value in settings_of(given.get("options") or {}).items():
            table, _, inner = key.partition(".")
            if inner:
                service.setdefault(table, {})[inner] = value
            else:
                service[key] = value
        async with self._lock:
            path, services = self._read()
            if name in services:
                raise CircusError(f"command {name} already exists", errno.COMMAND_ERROR)
            await self._apply(path, {**services, name: service})

    async def remove(self, request: Request) -> None:
        """Stop and forget a service that was added. Raises CircusError."""
        async with self._lock:
            path, services = self._read()
            found = next((n for n in services if n.lower() == request.name.lower()), "")
            if not found:
                what = "was not added by circusctl: take it out of chapiteau.toml"
                raise CircusError(f"rm: {request.name} {what}", errno.COMMAND_ERROR)
            await self._apply(path, {n: s for n, s in services.items() if n != found})

    def _read(self) -> tuple[Path, dict[str, Any]]:
        if self._path is None:
            what = "set options.added of the bridge, or change chapiteau.toml: then reloadconfig"
            raise CircusError(f"services are in chapiteau.toml: {what}", errno.COMMAND_ERROR)
        try:
            return self._path, dict(tomllib.loads(self._path.read_text()).get("service", {}))
        except FileNotFoundError:
            return self._path, {}
        except (OSError, ValueError) as exc:
            raise CircusError(f"{self._path}: {exc}", errno.OS_ERROR) from exc

    async def _apply(self, path: Path, services: dict[str, Any]) -> None:
        """Write the file and apply it; a refusal puts the old one back."""
        before = path.read_bytes() if path.exists() else b""
        text = write_toml({"service": services} if services else {}, {(): _HEAD})
        try:
            write_atomic(path, text.encode(), mode=0o600)
            outcome = await self._client.apply()
            known = (await self._client.config()).get("service", {})
        except OSError as exc:
            raise CircusError(f"{path}: {exc.strerror}", errno.OS_ERROR) from exc
        if outcome.ok and all(name in known for name in services):
            return
        write_atomic(path, before, mode=0o600)
        error = f"{outcome.error} {outcome.hint}".strip()
        hint = f'chapiteau.toml does not include it: include = ["{path.name}"]'
        raise CircusError(error or hint, errno.COMMAND_ERROR)
