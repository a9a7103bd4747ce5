"""Pyramid's table of routes, with services in an order that doesn't depend on their names."""

from typing import Any, Final

from pyramid.interfaces import IRoutesMapper
from pyramid.urldispatch import RoutesMapper

from chapiteau.service.logic.order import goes_before

__all__ = ["PREFIX", "ServiceRoutes", "use_service_routes"]

PREFIX: Final = "chapiteau "  # names of routes that belong to services


class ServiceRoutes(RoutesMapper):  # type: ignore[misc]
    """A scan finds services in alphabetical order of their variables: that must not decide who
    answers. Everybody else's routes keep their places, as Pyramid promises."""

    def connect(self, name: str, pattern: str, *args: Any, **options: Any) -> Any:
        """As Pyramid does; then a service's route moves before those it is more special than."""
        route = super().connect(name, pattern, *args, **options)
        if not name.startswith(PREFIX) or options.get("static"):
            return route
        self.routelist.remove(route)
        place = next(
            (
                at
                for at, other in enumerate(self.routelist)
                if other.name.startswith(PREFIX) and goes_before(pattern, other.pattern)
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
