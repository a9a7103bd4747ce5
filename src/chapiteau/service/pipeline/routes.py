"""Pyramid's table of routes, with services in an order that doesn't depend on their names."""

from typing import Any, Final

from pyramid.exceptions import URLDecodeError
from pyramid.interfaces import IRoutesMapper
from pyramid.traversal import decode_path_info
from pyramid.urldispatch import RoutesMapper

from chapiteau.service.declare.path import RouteTable, is_more_specific

__all__ = ["ROUTE_PREFIX", "ServiceRoutes", "use_service_routes"]

ROUTE_PREFIX: Final = "chapiteau "  # names of routes that belong to services


class ServiceRoutes(RoutesMapper):  # type: ignore[misc]
    """A scan finds services in alphabetical order of their variables: that must not decide who
    answers. Everybody else's routes keep their places, as Pyramid promises."""

    def __init__(self) -> None:
        super().__init__()
        self._table: RouteTable | None = None

    def __call__(self, request: Any) -> dict[str, Any]:
        """As Pyramid does, but by a table instead of one regular expression after the other."""
        try:
            path = decode_path_info(request.environ.get("PATH_INFO") or "/")
        except UnicodeDecodeError as exc:
            raise URLDecodeError(exc.encoding, exc.object, exc.start, exc.end, exc.reason) from None
        if self._table is None:
            self._table = self._new_table()
        found = self._table.find(path)
        if found is None:
            return {"route": None, "match": None}
        for route in self.routelist[found[0] :]:
            match = route.match(path)
            if match is not None:
                info = {"match": match, "route": route}
                if all(predicate(info, request) for predicate in route.predicates):
                    return info
        return {"route": None, "match": None}

    def _new_table(self) -> RouteTable:
        table = RouteTable()
        for number, route in enumerate(self.routelist):
            table.add(number, route.pattern, route.match)
        return table

    def connect(self, name: str, pattern: str, *args: Any, **options: Any) -> Any:
        """As Pyramid does; then a service's route moves before those it is more special than."""
        self._table = None
        route = super().connect(name, pattern, *args, **options)
        if not name.startswith(ROUTE_PREFIX) or options.get("static"):
            return route
        self.routelist.remove(route)
        place = next(
            (
                at
                for at, other in enumerate(self.routelist)
                if other.name.startswith(ROUTE_PREFIX) and is_more_specific(pattern, other.pattern)
            ),
            len(self.routelist),
        )
        self.routelist.insert(place, route)
        return route


def use_service_routes(config: Any) -> None:
    """Put the table in before the first route; routes that are there already move over."""
    old = config.registry.queryUtility(IRoutesMapper)
    if isinstance(old, ServiceRoutes):
        return
    made = ServiceRoutes()
    if old is not None:
        made.routelist = list(old.routelist)
        made.static_routes = list(old.static_routes)
        made.routes = dict(old.routes)
    config.registry.registerUtility(made, IRoutesMapper)
