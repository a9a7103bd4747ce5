"""An OpenAPI document, ours or anyone's, as a load test: no script written."""

from chapiteau.load.logic.inputs.openapi.flow import OpenApiFlow
from chapiteau.load.logic.inputs.openapi.reading import OpenApi, read_openapi
from chapiteau.load.logic.inputs.openapi.security import Credentials
from chapiteau.load.logic.inputs.openapi.selection import Selection

__all__ = ["Credentials", "OpenApi", "OpenApiFlow", "Selection", "read_openapi"]
