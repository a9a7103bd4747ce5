"""Talk to a running supervisor over its control socket, from scripts and from asyncio."""

from typing import TYPE_CHECKING, Any

from chapiteau.run.api.client import Client, run_dir_of, socket_of

if TYPE_CHECKING:
    from chapiteau.run.api.async_client import AsyncClient
    from chapiteau.run.plugins.plugin import Plugin

__all__ = ["AsyncClient", "Client", "Plugin", "run_dir_of", "socket_of"]


def __getattr__(name: str) -> Any:
    # asyncio costs a command line 35 ms: only who asks for the AsyncClient pays for it.
    if name == "AsyncClient":
        from chapiteau.run.api.async_client import AsyncClient

        return AsyncClient
    if name == "Plugin":
        from chapiteau.run.plugins.plugin import Plugin

        return Plugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
