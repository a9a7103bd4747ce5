"""`{{variables}}` of Postman: from collection and environment, from answers, or made by chance."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.logic.inputs.schemas.formats import format_writer, name_writer, words

if TYPE_CHECKING:
    import random

__all__ = ["Template", "is_dynamic", "read_variables"]

_NAME: Final = re.compile(r"\{\{([^{}]{1,200})\}\}")
_DEEPEST: Final = 10  # a variable's value may name others

_DYNAMIC: Final[dict[str, Callable[["random.Random"], str]]] = {
    "$randomInt": lambda chance: str(chance.randint(0, 1000)),
    "$randomBoolean": lambda chance: chance.choice(("true", "false")),
    "$randomAlphaNumeric": lambda chance: chance.choice("abcdefghijklmnopqrstuvwxyz0123456789"),
    "$timestamp": lambda chance: str(1_700_000_000 + chance.randrange(100_000_000)),
    "$randomPrice": lambda chance: f"{chance.randrange(100_000) / 100:.2f}",
    "$randomWords": lambda chance: words(chance, 3),
    "$randomLoremSentence": lambda chance: words(chance, 8).capitalize() + ".",
}
# Dynamic variables that are a format or a field's name by another word.
_AS_FORMAT: Final = {
    "$guid": "uuid",
    "$randomUUID": "uuid",
    "$isoTimestamp": "date-time",
    "$randomEmail": "email",
    "$randomUrl": "uri",
    "$randomIP": "ipv4",
    "$randomIPV6": "ipv6",
    "$randomDateRecent": "date-time",
    "$randomDatePast": "date-time",
    "$randomDateFuture": "date-time",
    "$randomPassword": "password",
    "$randomDomainName": "hostname",
}


def read_variables(raw: Any) -> dict[str, str]:
    """`[{key, value, enabled?, disabled?}]` as a mapping; what is switched off is left out."""
    found = {}
    for item in raw if isinstance(raw, list) else ():
        if not isinstance(item, Mapping) or item.get("disabled") or item.get("enabled") is False:
            continue
        key = item.get("key", item.get("id"))
        if isinstance(key, str):
            value = item.get("value", item.get("currentValue"))
            found[key] = value if isinstance(value, str) else _text(value)
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_dynamic(name: str) -> bool:
    """Made anew for every request: `{{$guid}}`."""
    return _writer(name) is not None


def _writer(name: str) -> Callable[["random.Random"], str] | None:
    if name in _DYNAMIC:
        return _DYNAMIC[name]
    if name in _AS_FORMAT:
        return format_writer(_AS_FORMAT[name])
    # $randomFirstName, $randomCity, $randomPhoneNumber …: by what the name ends with.
    return name_writer(name.removeprefix("$random")) if name.startswith("$random") else None


class Template:
    """Text with variables, taken apart once."""

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # Odd pieces are names: re.split keeps what the group matched.
        self._pieces = _NAME.split(text)

    @property
    def names(self) -> list[str]:
        """The variables in it."""
        return [name.strip() for name in self._pieces[1::2]]

    def fill(self, values: Mapping[str, str], chance: "random.Random", depth: int = 0) -> str:
        """The text with its variables filled in; unknown ones stay as they are."""
        if len(self._pieces) == 1:
            return self._pieces[0]
        written = list(self._pieces)
        for at in range(1, len(written), 2):
            name = written[at].strip()
            writer = _writer(name)
            if name in values and depth < _DEEPEST:
                written[at] = Template(values[name]).fill(values, chance, depth + 1)
            elif writer is not None:
                written[at] = writer(chance)
            else:
                written[at] = "{{" + written[at] + "}}"
        return "".join(written)
