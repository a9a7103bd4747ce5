"""A string that hides itself."""

__all__ = ["Secret"]


class Secret:
    """A value that never shows in a repr, a log line, JSON or a traceback; `reveal()` gives it."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin  # where it came from ("env DB_PASSWORD"): safe to show

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"<Secret from {self.origin}>" if self.origin else "<Secret>"

    def __str__(self) -> str:
        return "••••••"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))
