"""Several views of one method: the request's media types say which of them answers."""

from collections.abc import Sequence
from typing import Any, Final

from webob.response import Response

from chapiteau.service.engine.answering.plan import OFFER_KEY, Around, OperationPlan, add_headers
from chapiteau.service.engine.answering.reply import VARY_KEY
from chapiteau.service.logic.operation import Operation
from chapiteau.service.logic.problem import problem_for
from chapiteau.service.logic.views import as_view, by_request, taken_by, together
from chapiteau.service.logic.wire.negotiate import choose, select_view

__all__ = ["VIEW_KEY", "ViewsPlan"]

Environ = dict[str, Any]
VIEW_KEY: Final = "chapiteau.view"  # set by Pyramid's view of one operation: that one answers
_VARY: Final = ("Vary", "Accept")


class ViewsPlan:
    """How to run one of several operations of a method, or one that is narrowed per request."""

    def __init__(self, operations: Sequence[Operation], around: Around) -> None:
        self.operations = together(operations)
        offers = {offer for one in operations for offer in one.offers}
        self._varies = len(offers) > 1 or any(map(by_request, operations))
        self._plans = [OperationPlan(one, around, varies=self._varies) for one in self.operations]
        with_cors = [one for one in self.operations if one.options.cors is not None]
        self.operation = (with_cors or self.operations)[0]
        narrowed = any(map(by_request, operations))
        self._views = [] if narrowed else [as_view(one, None)[0] for one in self.operations]
        self._only_media = [(set(taken_by(one)), set(one.offers)) for one in self.operations]

    def __repr__(self) -> str:
        return (
            f"<ViewsPlan of {len(self.operations)} {self.operation.method} {self.operation.path}>"
        )

    def check_answers(self) -> None:
        """From now on hold every answer against the declared type."""
        for plan in self._plans:
            plan.check_answers()

    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """As the one that is meant would. Raises ProblemError."""
        at = environ.get(VIEW_KEY)
        if at is None:
            at = self._choose(environ, request)
        if any(map(callable, self.operations[at].options.accept)):
            accept = environ.get("HTTP_ACCEPT")
            _, offers = as_view(self.operations[at], request)
            environ[OFFER_KEY] = choose(accept, offers) if offers else accept
        made = self._plans[at].run(environ, request, captures)
        if self._varies and isinstance(made, Response) and "Accept" not in (made.vary or ()):
            add_headers(made, [_VARY])
        return made

    def fitting(self, request: Any) -> frozenset[int]:
        """The numbers of the views whose media types are those of the one that is meant.

        Among them predicates decide. Raises ProblemError when none is.
        """
        environ = request.environ
        chosen = self._choose(environ, request)
        wanted = self._only_media[chosen]
        return frozenset(at for at, media in enumerate(self._only_media) if media == wanted)

    def _choose(self, environ: Environ, request: Any) -> int:
        if self._varies and _VARY not in (known := environ.get(VARY_KEY, ())):
            environ[VARY_KEY] = [*known, _VARY]  # errors too are what this Accept has led to
        views = self._views or [as_view(one, request)[0] for one in self.operations]
        method = self.operations[0].method
        chosen = select_view(views, method, environ.get("HTTP_ACCEPT"), environ.get("CONTENT_TYPE"))
        if isinstance(chosen, int):
            return chosen
        told = ", ".join(chosen.offers)
        if chosen.status == 415:
            kind = environ.get("CONTENT_TYPE", "")
            raise problem_for(415, f"{kind} can't be read here", headers={"Accept": told})
        raise problem_for(
            406, f"offered here: {told}", headers={} if self._varies else dict([_VARY])
        )
