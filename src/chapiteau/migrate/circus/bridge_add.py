"""`add` and `rm` of circusctl: services in a file of their own, which chapiteau.toml includes."""

import asyncio
import shlex
import tomllib
from pathlib import Path
from typing import Any

from chapiteau.io.files import write_atomic
from chapiteau.io.toml_writer import write_toml
from chapiteau.migrate.circus.protocol import CircusError, Request, errno, settings_of
from chapiteau.run.client.aio import AsyncClient

__all__ = ["Added"]

_HEAD = ["Written by the Circus bridge: circusctl add and rm."]


class Added:
    """The file is the truth, as everywhere: what was added is there after a reboot too."""

    def __init__(self, client: AsyncClient, path: Path | None) -> None:
        self._client, self._path = client, path
        self._one_at_a_time = asyncio.Lock()

    async def add(self, request: Request) -> None:
        """A new service. Raises CircusError; then nothing has changed."""
        name, given = request.name, request.properties
        words = [str(request.need("cmd")), *_words(given.get("args"))]
        options = given.get("options") or {}
        if not isinstance(options, dict):
            raise CircusError("'options' property should be an object")
        service: dict[str, Any] = {
            "command": " ".join(words),
            "autostart": bool(given.get("start")),
        }
        for key, value in _ours(options).items():
            _set(service, key, value)
        async with self._one_at_a_time:
            services = self._read()
            if name in services:
                raise CircusError(f"command {name} already exists", errno.COMMAND_ERROR)
            await self._follow({**services, name: service})

    async def remove(self, request: Request) -> None:
        """Stop and forget a service that was added. Raises CircusError."""
        async with self._one_at_a_time:
            services = self._read()
            found = next((n for n in services if n.lower() == request.name.lower()), "")
            if not found:
                what = "was not added by circusctl: take it out of chapiteau.toml"
                raise CircusError(f"rm: {request.name} {what}", errno.COMMAND_ERROR)
            await self._follow({n: s for n, s in services.items() if n != found})

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            what = "set options.added of the bridge, or change chapiteau.toml: then reloadconfig"
            raise CircusError(f"services are in chapiteau.toml: {what}", errno.COMMAND_ERROR)
        try:
            return dict(tomllib.loads(self._path.read_text()).get("service", {}))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise CircusError(f"{self._path}: {exc}", errno.OS_ERROR) from exc

    async def _follow(self, services: dict[str, Any]) -> None:
        """Write the file and apply it; a refusal puts the old one back."""
        path = self._path
        if path is None:
            return
        before = path.read_bytes() if path.exists() else b""
        text = write_toml({"service": services} if services else {}, {(): _HEAD})
        try:
            write_atomic(path, text.encode(), mode=0o600)
            outcome = await self._client.apply()
            known = (await self._client.config()).get("service", {})
        except OSError as exc:
            raise CircusError(f"{path}: {exc.strerror}", errno.OS_ERROR) from exc
        missing = [name for name in services if name not in known]
        if outcome.ok and not missing:
            return
        write_atomic(path, before, mode=0o600)
        error = f"{outcome.error} {outcome.hint}".strip()
        hint = f'chapiteau.toml does not include it: include = ["{path.name}"]'
        raise CircusError(error or hint, errno.COMMAND_ERROR)


def _words(args: Any) -> list[str]:
    """Arguments come as one text or as a list."""
    if not args:
        return []
    return [shlex.quote(str(word)) for word in args] if isinstance(args, list) else [str(args)]


def _ours(options: dict[str, Any]) -> dict[str, Any]:
    try:
        return settings_of(options)
    except (ValueError, TypeError) as exc:
        raise CircusError(str(exc), errno.COMMAND_ERROR) from exc


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".", 1)
    for part in parents:
        table = table.setdefault(part, {})
    table[last] = value
