"""What a service says about cross-origin requests, read from its arguments and definitions."""

from typing import Any

__all__ = ["Sharing"]


class Sharing:
    """The part of `Service` that answers questions about CORS."""

    cors_expose_all_headers: bool = True
    _cors_enabled: bool | None = None

    arguments: dict[str, Any]
    definitions: list[tuple[str, Any, dict[str, Any]]]

    @property
    def cors_enabled(self) -> bool:
        """Said with `cors_enabled=`, or else true when there are origins."""
        if self._cors_enabled is False:
            return False
        return bool(self._cors_enabled or getattr(self, "cors_origins", None))

    @cors_enabled.setter
    def cors_enabled(self, value: bool) -> None:
        self._cors_enabled = value

    @property
    def cors_supported_methods(self) -> list[str]:
        """The methods that other origins may use, in the order of their definition."""
        found: list[str] = []
        for method, _, arguments in self.definitions:
            if arguments.get("cors_enabled", True) and method not in found:
                found.append(method)
        return found

    @property
    def cors_supported_origins(self) -> set[str]:
        """The origins of the service and of all its views."""
        found = set(getattr(self, "cors_origins", ()))
        for _, _, arguments in self.definitions:
            found.update(arguments.get("cors_origins", ()))
        return found

    def cors_supported_headers_for(self, method: str | None = None) -> set[str]:
        """The headers that scripts of other origins may see and send; of all methods if none."""
        found: set[str] = set()
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if method in (None, defined) and arguments.get("cors_enabled", True):
                found.update(arguments.get("cors_headers", ()))
        return found

    def cors_origins_for(self, method: str | None) -> list[str]:
        """The origins that may use a method."""
        found = list(getattr(self, "cors_origins", ()))
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if defined == method:
                found += [o for o in arguments.get("cors_origins", ()) if o not in found]
        return found

    def cors_support_credentials_for(self, method: str | None = None) -> bool:
        """Whether scripts of other origins may use a method with cookies."""
        return bool(self._cors_setting(method, "cors_credentials", False))

    def cors_max_age_for(self, method: str | None = None) -> Any:
        """For how many seconds the answer to a preflight holds, or None."""
        return self._cors_setting(method, "cors_max_age", None)

    def _cors_setting(self, method: str | None, name: str, default: Any) -> Any:
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if defined == method and name in arguments:
                return arguments[name]
        return getattr(self, name, default)
