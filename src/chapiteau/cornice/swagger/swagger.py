"""The module `cornice_swagger.swagger`, for imports that name it."""

from chapiteau.cornice.swagger.document import CorniceSwagger, CorniceSwaggerException
from chapiteau.cornice.swagger.parts import DefinitionHandler, ParameterHandler, ResponseHandler

__all__ = [
    "CorniceSwagger",
    "CorniceSwaggerException",
    "DefinitionHandler",
    "ParameterHandler",
    "ResponseHandler",
]
