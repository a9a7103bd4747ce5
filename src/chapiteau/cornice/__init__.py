"""A drop-in for Cornice 6.1: change `cornice` to `chapiteau.cornice` in your imports, and stay.

`config.include("chapiteau.cornice")` brings the same directives, settings and behaviour.
docs/how-to/migrate-from-cornice.md tells the rest.
"""

import warnings

# As in chapiteau.service.engine: it must stand before the first import of Pyramid.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from chapiteau.cornice import (  # noqa: E402
    cors,
    errors,
    pyramidhook,
    renderer,
    resource,
    service,
    util,
    validators,
)
from chapiteau.cornice.errors import Errors  # noqa: E402
from chapiteau.cornice.including import (  # noqa: E402
    includeme,
    set_localizer_for_languages,
    setup_localization,
)
from chapiteau.cornice.service import Service  # noqa: E402

__all__ = [
    "Errors",
    "Service",
    "cors",
    "errors",
    "includeme",
    "pyramidhook",
    "renderer",
    "resource",
    "service",
    "set_localizer_for_languages",
    "setup_localization",
    "util",
    "validators",
]

__version__ = "6.1.0"  # of the Cornice whose behaviour this is; some applications ask
