"""Write web services on Pyramid that publish exactly what they do.

    from chapiteau.service import Service

`config.include("chapiteau.service")` brings the directives; `config.scan()` finds services.
"""

import warnings

# Before the first import of Pyramid.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from chapiteau.service.addons import RedisRates, RedisStore
from chapiteau.service.addons.idempotency import MemoryStore, SqliteStore
from chapiteau.service.addons.jobs import MemoryJobs, SqliteJobs
from chapiteau.service.addons.rate_limits import MemoryRates, SqliteRates
from chapiteau.service.auth import (
    ApiKeyAuth,
    AuthPolicy,
    BasicAuth,
    BearerAuth,
    CertificateAuth,
    CertificateSubject,
    JwksFile,
    JwksUrl,
    JwtAuth,
    OAuth2,
    OAuthFlow,
    OpenIdConnect,
    TokenIdentity,
)
from chapiteau.service.declare.resource import add_resource, resource, view
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.signature import (
    Answer,
    Body,
    Callback,
    Cookie,
    Header,
    Link,
    Path,
    Query,
    Upload,
)
from chapiteau.service.directives import includeme
from chapiteau.service.pipeline.streams import Event, EventStream, File, JsonLines, Stream
from chapiteau.service.protocol.conditional import Precondition
from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.pagination import (
    NoSuchPageError,
    decode_cursor,
    encode_cursor,
    link_header,
    with_query,
)
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.protocol.rate_limit import RateLimit
from chapiteau.service.protocol.versions import UnknownVersionError, Versions

__all__ = [
    "Answer",
    "ApiKeyAuth",
    "AuthPolicy",
    "BasicAuth",
    "BearerAuth",
    "Body",
    "Callback",
    "CertificateAuth",
    "CertificateSubject",
    "Cookie",
    "CorsPolicy",
    "Event",
    "EventStream",
    "File",
    "Header",
    "JsonLines",
    "JwksFile",
    "JwksUrl",
    "JwtAuth",
    "Link",
    "MemoryJobs",
    "MemoryRates",
    "MemoryStore",
    "NoSuchPageError",
    "OAuth2",
    "OAuthFlow",
    "OpenIdConnect",
    "Path",
    "Precondition",
    "ProblemError",
    "Query",
    "RateLimit",
    "RedisRates",
    "RedisStore",
    "Service",
    "SqliteJobs",
    "SqliteRates",
    "SqliteStore",
    "Stream",
    "TokenIdentity",
    "UnknownVersionError",
    "Upload",
    "Versions",
    "add_resource",
    "decode_cursor",
    "encode_cursor",
    "includeme",
    "link_header",
    "resource",
    "view",
    "with_query",
]


# The only place that knows Pyramid: declarations, plans, answers, the worker.

# Pyramid 2.1 imports pkg_resources, which complains at every start. Our users can't mend that;
# the pin `setuptools<82` in pyproject.toml is what keeps it working.
