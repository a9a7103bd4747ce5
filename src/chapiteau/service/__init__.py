"""Write web services on Pyramid that publish exactly what they do.

    from chapiteau.service import Service

`config.include("chapiteau.service")` brings the directives; `config.scan()` finds services.
"""

from chapiteau.service.engine.answering.files import File
from chapiteau.service.engine.answering.streams import Event, EventStream, JsonLines, Stream
from chapiteau.service.engine.auth import (
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
from chapiteau.service.engine.directives import includeme
from chapiteau.service.engine.idempotency import MemoryStore, SqliteStore
from chapiteau.service.engine.jobs import MemoryJobs, SqliteJobs
from chapiteau.service.engine.ratelimits import MemoryRates, SqliteRates
from chapiteau.service.engine.resource import add_resource, resource, view
from chapiteau.service.engine.service import Service
from chapiteau.service.engine.stores import RedisRates, RedisStore
from chapiteau.service.logic.answer import Answer
from chapiteau.service.logic.markers import Body, Cookie, Header, Path, Query
from chapiteau.service.logic.problem import ProblemError
from chapiteau.service.logic.related import Callback, Link
from chapiteau.service.logic.upload import Upload
from chapiteau.service.logic.wire.conditional import Precondition
from chapiteau.service.logic.wire.cors import CorsPolicy
from chapiteau.service.logic.wire.paging import (
    NoSuchPageError,
    decode_cursor,
    encode_cursor,
    link_header,
    with_query,
)
from chapiteau.service.logic.wire.ratelimit import RateLimit
from chapiteau.service.logic.wire.versions import UnknownVersionError, Versions

__all__ = [
    "Answer", "ApiKeyAuth", "AuthPolicy", "BasicAuth", "BearerAuth", "Body", "Callback",
    "CertificateAuth", "CertificateSubject", "Cookie", "CorsPolicy", "Event", "EventStream", "File",
    "Header", "JsonLines", "JwksFile", "JwksUrl", "JwtAuth", "Link", "MemoryJobs", "MemoryRates",
    "MemoryStore", "NoSuchPageError", "OAuth2", "OAuthFlow", "OpenIdConnect", "Path",
    "Precondition", "ProblemError", "Query", "RateLimit", "RedisRates", "RedisStore", "Service",
    "SqliteJobs", "SqliteRates", "SqliteStore", "Stream", "TokenIdentity", "UnknownVersionError",
    "Upload", "Versions", "add_resource", "decode_cursor", "encode_cursor", "includeme",
    "link_header", "resource", "view", "with_query",
]  # fmt: skip
