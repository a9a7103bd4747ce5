"""A scheme as Pyramid's security policy: for `permission=`, ACLs and `request.identity`."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pyramid.authorization import ACLHelper, Authenticated, Everyone
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import RequestLocalCache
from pyramid.security import NO_PERMISSION_REQUIRED
from zope.interface import implementer

from chapiteau.service.auth.schemes import AuthScheme, NotKnownError, scopes_of

__all__ = ["AuthPolicy", "unauthenticated_error", "with_policy_auth"]


@implementer(ISecurityPolicy)
class AuthPolicy:
    """`config.set_security_policy(AuthPolicy(tokens))`.

    Principals of an identity are its user id, `scope:NAME` for each of its scopes, and what
    `groups(identity)` gives. The user id is the identity's `subject`, `name` or `id` (attribute or
    key), or what `userid(identity)` gives.
    """

    def __init__(
        self,
        scheme: AuthScheme,
        *,
        userid: Callable[[Any], str] | None = None,
        groups: Callable[[Any], Iterable[str]] | None = None,
    ) -> None:
        self.scheme = scheme
        self._userid = userid or _userid
        self._groups = groups
        self._acl = ACLHelper()
        self._known = RequestLocalCache(lambda request: scheme.identity(request.environ))

    def identity(self, request: Any) -> Any:
        """Who asks, or None. Raises NotKnownError for credentials that are no good."""
        return self._known.get_or_create(request)

    def authenticated_userid(self, request: Any) -> str | None:
        """The name under which ACLs know the identity."""
        identity = self.identity(request)
        return None if identity is None else self._userid(identity)

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        """As the ACLs of the context and its parents say."""
        principals = [Everyone]
        identity = self.identity(request)
        if identity is not None:
            principals += [Authenticated, self._userid(identity)]
            principals += [f"scope:{scope}" for scope in sorted(scopes_of(identity))]
            principals += self._groups(identity) if self._groups is not None else ()
        return self._acl.permits(context, principals, permission)

    def remember(self, _request: Any, _userid: str, **_options: Any) -> list[tuple[str, str]]:
        """Nothing: clients send their credentials with every request."""
        return []

    def forget(self, _request: Any, **_options: Any) -> list[tuple[str, str]]:
        """Nothing, see `remember`."""
        return []


def _userid(identity: Any) -> str:
    for name in ("subject", "name", "id"):
        if isinstance(identity, Mapping):
            found = identity.get(name)
        else:
            found = getattr(identity, name, None)
        if found is not None:
            return str(found)
    return str(identity)


def with_policy_auth(service: Any, registry: Any) -> Any:
    """The service as the document tells it: who needs a permission must say who it is.

    The credentials are those of the application's AuthPolicy, if it has one.
    """
    policy = registry.queryUtility(ISecurityPolicy)
    if not isinstance(policy, AuthPolicy):
        return service
    told = copy.copy(service)
    told.operations = [
        replace(one, options=replace(one.options, auth=policy.scheme))
        if one.options.auth is None and _guarded(one.options.view)
        else one
        for one in service.operations
    ]
    return told


def _guarded(view: Mapping[str, Any]) -> bool:
    return view.get("permission", NO_PERMISSION_REQUIRED) is not NO_PERMISSION_REQUIRED


def unauthenticated_error(request: Any) -> NotKnownError | None:
    """What to tell somebody who was refused because nobody knows who it is (401, not 403)."""
    policy = request.registry.queryUtility(ISecurityPolicy)
    if not isinstance(policy, AuthPolicy) or policy.identity(request) is not None:
        return None
    return NotKnownError(headers={"WWW-Authenticate": policy.scheme.challenge()})
