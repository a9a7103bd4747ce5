"""The directives of cornice_swagger: Swagger 2 as it was, and OpenAPI 3.1 by option.

`config.include("chapiteau.cornice.swagger")`, then `config.cornice_enable_openapi_view(…)`.
"""

from chapiteau.cornice.swagger import converters, swagger, util
from chapiteau.cornice.swagger.handlers import CorniceSwaggerException
from chapiteau.cornice.swagger.swagger import CorniceSwagger
from chapiteau.cornice.swagger.views import (
    CorniceSwaggerPredicate,
    cornice_enable_openapi_explorer,
    cornice_enable_openapi_view,
    includeme,
)

__all__ = [
    "CorniceSwagger",
    "CorniceSwaggerException",
    "CorniceSwaggerPredicate",
    "converters",
    "cornice_enable_openapi_explorer",
    "cornice_enable_openapi_view",
    "includeme",
    "swagger",
    "util",
]
