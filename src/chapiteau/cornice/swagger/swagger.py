"""The module `cornice_swagger.swagger`, for imports that name it."""

from chapiteau.cornice.swagger.document import CorniceSwagger
from chapiteau.cornice.swagger.parts import (
    CorniceSwaggerException,
    DefinitionHandler,
    ParameterHandler,
    ResponseHandler,
)

__all__ = [
    "CorniceSwagger",
    "CorniceSwaggerException",
    "DefinitionHandler",
    "ParameterHandler",
    "ResponseHandler",
]
