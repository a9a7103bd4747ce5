"""Clients written from a document: Python and TypeScript."""

from chapiteau.service.logic.clients.python import python_client
from chapiteau.service.logic.clients.typescript import typescript_client

__all__ = ["python_client", "typescript_client"]
