"""The one table of exit codes: what each says, and what it says of the commands that judge."""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "BROKEN",
    "EXIT_CODES",
    "GENERATOR_LIMITED",
    "JUDGED",
    "NOT_MET",
    "PARTIAL",
    "UNSURE",
    "exit_codes_of",
]

PARTIAL: Final = 7
NOT_MET: Final = 8
UNSURE: Final = 9
GENERATOR_LIMITED: Final = 10
BROKEN: Final = 11

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "Done; where something was judged, it is good.",
    1: "It failed.",
    2: "The command line or a configuration file says something that can't be.",
    3: "The named thing does not exist: a file, a service, a result.",
    4: "The caller may not do this, or it must not be done now.",
    5: "Nobody answers at the other end.",
    6: "The answer did not come within the time allowed.",
    PARTIAL: "Some of the things asked for were done, and some were not.",
    NOT_MET: "Judged, and not good: an objective, a check or a comparison.",
    UNSURE: "Judged, and not decided: too little was measured.",
    GENERATOR_LIMITED: "The load generator was the limit, or was lost: the service is not judged.",
    BROKEN: "The load test is broken, or nothing answered it: the service is not judged.",
    130: "Interrupted with Ctrl-C (128 + 2; after another signal 128 + its number).",
    141: "The reader of the output has gone (`chapiteau … | head`).",
}

_LOAD: Final = {
    NOT_MET: "not met",
    UNSURE: "unsure",
    GENERATOR_LIMITED: "the load generator was the limit",
    BROKEN: "the scenario is broken or nothing answered",
}
_SLOWER: Final = {0: "faster or the same", NOT_MET: "slower", UNSURE: "cannot tell"}
_IMPORTED: Final = {0: "all was kept or changed", PARTIAL: "something was lost"}

# Command → what its verdicts say. 1 to 6 are never verdicts; they mean the same everywhere.
JUDGED: Final[Mapping[str, Mapping[int, str]]] = {
    "check": {0: "no problems", NOT_MET: "problems in the file"},
    "run doctor": {0: "fit", NOT_MET: "something is missing"},
    "import": _IMPORTED,
    "import cornice": {0: "nothing is left to do", PARTIAL: "something is left to do"},
    "load ab": {
        **_SLOWER,
        GENERATOR_LIMITED: "the load generator was lost",
        BROKEN: "one of them does not answer",
    },
    "load capacity": {0: "found (and at least --min-capacity)", **_LOAD},
    "load compare": _SLOWER,
    "load attach": {0: "as the test itself", **_LOAD},
    "load run": {0: "objective met (or none given)", **_LOAD},
    "load show": {0: "as the stored test", **_LOAD},
    "service check": {0: "nothing is missing", NOT_MET: "something is missing"},
    "service diff": {0: "compatible", NOT_MET: "a client written for OLD could break with NEW"},
}


def exit_codes_of(command: str) -> str:
    """The last paragraph of a judging command's `--help`."""
    told = ", ".join(f"{code} {says}" for code, says in sorted(JUDGED[command].items()))
    return f"Exit codes: {told}. 1 to 6 are errors, the same for every command."
