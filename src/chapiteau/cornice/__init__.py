"""A drop-in for Cornice 6.1: change `cornice` to `chapiteau.cornice` in your imports, and stay.

`config.include("chapiteau.cornice")` brings the rest: docs/how-to/migrate-from-cornice.md.
"""

import warnings

# Before the first import of Pyramid, as in chapiteau.service.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from chapiteau.cornice import (
    cors,
    errors,
    pyramidhook,
    renderer,
    resource,
    service,
    util,
    validators,
)
from chapiteau.cornice.errors import Errors
from chapiteau.cornice.pyramidhook import (
    handle_exceptions,
    includeme,
    register_resource_views,
    register_service_views,
    set_localizer_for_languages,
    setup_localization,
    wrap_request,
)
from chapiteau.cornice.renderer import CorniceRenderer
from chapiteau.cornice.service import Service
from chapiteau.cornice.util import ContentTypePredicate, current_service

__all__ = [
    "ContentTypePredicate",
    "CorniceRenderer",
    "Errors",
    "Service",
    "cors",
    "current_service",
    "errors",
    "handle_exceptions",
    "includeme",
    "pyramidhook",
    "register_resource_views",
    "register_service_views",
    "renderer",
    "resource",
    "service",
    "set_localizer_for_languages",
    "setup_localization",
    "util",
    "validators",
    "wrap_request",
]

__version__ = "6.1.0"  # of the Cornice whose behaviour this is; some applications ask
