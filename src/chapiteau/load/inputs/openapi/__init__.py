"""An OpenAPI document, ours or anyone's, as a load test: no script written."""

from chapiteau.load.inputs.openapi.flow import OpenApiFlow
from chapiteau.load.inputs.openapi.operations import Selection
from chapiteau.load.inputs.openapi.reader import OpenApi, read_openapi
from chapiteau.load.inputs.openapi.security import Credentials

__all__ = ["Credentials", "OpenApi", "OpenApiFlow", "Selection", "read_openapi"]
