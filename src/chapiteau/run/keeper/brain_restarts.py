"""When the next brain starts after others have ended, and whether it may act."""

import os
import signal
from typing import Any, Final

__all__ = ["DELAYS", "LONG_DELAYS", "BrainRestarts"]

DELAYS: Final = (0.0, 0.0, 0.0, 0.1, 0.3, 1.0)  # seconds before another is started
LONG_DELAYS: Final = (2.0, 4.0, 8.0, 16.0, 30.0)  # … when none can begin, and it is nobody's kill
MAX_FAILURES: Final = 12  # brains in a row that could not begin, where no process needs one
MAX_WITHOUT_FOLDER: Final = 4  # … when the run directory has gone too
SETTLED: Final = 20.0  # seconds of life that reset the delays
WINDOW: Final = 60.0  # seconds within which crashes count together
MAX_CRASHES: Final = 3  # after which a brain is read-only
CANNOT_BEGIN: Final = 75  # os.EX_TEMPFAIL: it has said what is wrong, and a person must act
_BY_OTHERS: Final = ((0, None), (None, signal.SIGKILL))
_NO_CRASH: Final = (*_BY_OTHERS, (CANNOT_BEGIN, None))


class BrainRestarts:
    """`count` each death of a brain; `read_only_reason` before the next one starts."""

    def __init__(self) -> None:
        self._tries = self._failures = 0
        self._crashes: list[float] = []  # when, on time.monotonic()
        self.last = ""  # how the last one ended; "" when it left by itself

    def count(self, end: dict[str, Any], lived: float, now: float, *, silent: bool) -> float:
        """Count a brain's end (`silent`: killed for not answering); seconds until another starts.

        A SIGKILL that was not ours (a person's, or out of memory) says nothing about the brain.
        """
        own = silent or (end["code"], end["signal"]) not in _BY_OTHERS
        if lived > SETTLED or end["code"] == 0:
            self._failures = 0
        self._failures += own
        if lived > SETTLED:
            self._tries = 0
        delay = self._delay()
        self.last = "it did not answer" if silent else _exit_text(end)
        if silent or (end["code"], end["signal"]) not in _NO_CRASH:
            self._crashes = [*self._crashes[1 - MAX_CRASHES :], now]
        elif end["code"] == 0:  # it left by itself, for a new one to begin afresh
            self._crashes = []
        return delay

    def not_started(self, why: str) -> float:
        """A brain could not even be started; seconds until the next try."""
        self._failures += 1
        self._tries = max(self._tries, len(DELAYS) - 1)
        self.last = why
        return self._delay()

    def _delay(self) -> float:
        beyond = self._failures - len(DELAYS)
        self._tries += 1
        if beyond > 0:
            return LONG_DELAYS[min(beyond, len(LONG_DELAYS)) - 1]
        return DELAYS[min(self._tries, len(DELAYS)) - 1]

    def hopeless_reason(self, folder: str) -> str:
        """Why no further brain should be tried in this folder, if no process needs one; or ""."""
        homeless = not os.path.isdir(folder)
        if self._failures < (MAX_WITHOUT_FOLDER if homeless else MAX_FAILURES):
            return ""
        gone = ", whose folder has gone" if homeless else ""
        return f"{self._failures} brains in a row could not begin{gone}, the last one: {self.last}"

    def read_only_reason(self, now: float, must_act: bool) -> str:
        """Why the next brain must not act, else ""; one without anything to look at must."""
        if must_act or len(self._crashes) < MAX_CRASHES or now - self._crashes[0] > WINDOW:
            return ""
        return f"{MAX_CRASHES} brains crashed within {WINDOW:g} s, the last one: {self.last}"


def _exit_text(end: dict[str, Any]) -> str:
    if end["signal"] is not None:
        return f"signal {end['signal']}"
    return f"exit code {end['code']}" if end["code"] else ""
