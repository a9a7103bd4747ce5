"""Texts of forms and parameters on their way to types: what msgspec would take too readily."""

from collections.abc import Iterable
from typing import Any, Final

from chapiteau.service.logic.kinds.records import fields_of, is_record
from chapiteau.service.logic.operation import is_many, means_moment, means_number

__all__ = ["UNREADABLE", "FormFields", "sane"]

UNREADABLE: Final = "\x00"  # in the place of a text that no type may take


def sane(text: str, *, number: bool, moment: bool) -> str:
    """The text, or UNREADABLE: "nan" is no number, and a number is no moment."""
    if number and text.strip("+-")[:1].isalpha():
        return UNREADABLE
    if moment:
        try:
            float(text)
        except ValueError:
            return text
        return UNREADABLE
    return text


class FormFields:
    """The fields of a form that is read as a record: which are lists, which are numbers."""

    def __init__(self, kind: Any) -> None:
        fields = fields_of(kind) if is_record(kind) else []
        self._many = {field.wire for field in fields if is_many(field.kind)}
        self._rules = {
            field.wire: (means_number(field.kind), means_moment(field.kind)) for field in fields
        }

    def read(self, given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """A value for each name; one that is given several times, or may be, becomes a list."""
        found: dict[str, Any] = {}
        for name, text in given:
            number, moment = self._rules.get(name, (False, False))
            odd = isinstance(text, str) and (number or moment)
            value = sane(text, number=number, moment=moment) if odd else text
            if name in found:
                before = found[name]
                found[name] = [*(before if isinstance(before, list) else [before]), value]
            else:
                found[name] = [value] if name in self._many else value
        return found
