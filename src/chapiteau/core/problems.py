"""Problems found in somebody's input: all of them at once, each with its place."""

from collections.abc import Iterable
from dataclasses import dataclass

from chapiteau.core.errors import UsageError
from chapiteau.core.plain import Plain

__all__ = ["InvalidInputError", "Problem", "did_you_mean", "nearest", "raise_problems"]


@dataclass(frozen=True, slots=True, order=True)
class Problem(Plain):
    """One thing that is wrong: where it stands, what it is, and what to do about it."""

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n    {self.hint}" if self.hint else text


class InvalidInputError(UsageError):
    """Input with problems; `problems` holds every one of them."""

    def __init__(
        self, subject: str, problems: Iterable[Problem], *, exit_code: int | None = None
    ) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{subject}: {count} problem{'' if count == 1 else 's'}"
        super().__init__("\n".join([head, *(f"  {p}" for p in self.problems)]), exit_code=exit_code)


def raise_problems(subject: str, problems: Iterable[Problem]) -> None:
    """Raise InvalidInputError when there is any problem at all."""
    found = tuple(problems)
    if found:
        raise InvalidInputError(subject, found)


def nearest(word: str, known: Iterable[str]) -> str:
    """The nearest known word; empty when none is near."""
    near = sorted((_distance(word, name), name) for name in set(known))
    good = [name for gap, name in near if gap <= max(1, len(word) // 3)]
    return good[0] if good else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known word, or the list of all when none is near."""
    names = sorted(set(known))
    if good := nearest(word, names):
        return f"did you mean {good!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"known: {shown}"


def _distance(a: str, b: str) -> int:
    """Edit distance, case ignored; two letters that changed places count as one edit.

    Optimal string alignment: V. I. Levenshtein, 1966, and F. J. Damerau, 1964.
    """
    a, b = a.casefold(), b.casefold()
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, right in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
