"""An OpenAPI document, ours or anyone's, as a load test: no script written."""

from chapiteau.load.inputs.openapi.flow import OpenApiFlow
from chapiteau.load.inputs.openapi.operations import Credentials, Selection
from chapiteau.load.inputs.openapi.reader import OpenApi, read_openapi

__all__ = ["Credentials", "OpenApi", "OpenApiFlow", "Selection", "read_openapi"]
