"""Keep processes alive: supervisor, sockets, readiness, reload without loss, logs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chapiteau.run.embedded import Supervisor

__all__ = ["Supervisor"]


def __getattr__(name: str) -> Any:
    if name == "Supervisor":  # asyncio and all: only who asks for it pays for it
        from chapiteau.run.embedded import Supervisor

        return Supervisor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
