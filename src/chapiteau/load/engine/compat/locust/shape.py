"""LoadTestShape: users over time in code; it is asked beforehand, second by second."""

from typing import Any

__all__ = ["LoadTestShape"]


class LoadTestShape:
    """Subclasses answer `tick()` with (users, spawn rate) or None at the end."""

    abstract = True
    use_common_options = False
    runner: Any = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def __init__(self) -> None:
        self._seconds = 0.0
        self._users = 0

    def at(self, seconds: float) -> Any:
        """The answer for this moment of the run."""
        self.__dict__["_seconds"] = seconds
        self.__dict__.setdefault("_users", 0)
        answer = self.tick()
        if answer:
            self._users = int(answer[0])
        return answer

    def reset_time(self) -> None:
        """Nothing: time is told to the shape."""

    def get_run_time(self) -> float:
        """Seconds since the start."""
        return float(self.__dict__.get("_seconds", 0.0))

    def get_current_user_count(self) -> int:
        """Users at the last tick."""
        return int(self.__dict__.get("_users", 0))

    def tick(self) -> Any:
        """(users, spawn rate), or None when the run is over."""
        return None
