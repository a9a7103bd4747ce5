"""What a locust task may raise to steer its user."""

__all__ = [
    "CatchResponseError",
    "InterruptTaskSet",
    "LocustError",
    "MissingWaitTimeError",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "StopTest",
    "StopUser",
]


class LocustError(Exception):
    """Root of them."""


class ResponseError(LocustError):
    """The answer is no good."""


class CatchResponseError(LocustError):
    """`failure(…)` was called with a text."""


class InterruptTaskSet(LocustError):  # noqa: N818 — locust's name
    """Leave this TaskSet; go on in the parent at once, or after its wait."""

    def __init__(self, reschedule: bool = True) -> None:
        super().__init__("interrupted")
        self.reschedule = reschedule


class StopUser(LocustError):  # noqa: N818 — locust's name
    """This user stops for good."""


class StopTest(LocustError):  # noqa: N818 — locust's name
    """Every user of this process stops for good."""


class MissingWaitTimeError(LocustError):
    """A user has no wait_time; never raised here."""


class RescheduleTask(LocustError):  # noqa: N818 — locust's name
    """Drop this task, wait, take another."""


class RescheduleTaskImmediately(LocustError):  # noqa: N818 — locust's name
    """Drop this task, take another at once."""
