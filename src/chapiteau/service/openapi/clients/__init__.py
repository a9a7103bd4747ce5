"""Clients written from a document: Python and TypeScript."""

from chapiteau.service.openapi.clients.python import python_client
from chapiteau.service.openapi.clients.typescript import typescript_client

__all__ = ["python_client", "typescript_client"]
