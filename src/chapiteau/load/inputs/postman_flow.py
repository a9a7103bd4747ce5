"""Sessions over a collection: its requests in order, variables carried from answer to request."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.inputs.openapi.serialization import encode_multipart, plain_text
from chapiteau.load.inputs.recording import kept_headers, with_content_type
from chapiteau.load.inputs.schema_formats import format_generator, name_generator, random_words
from chapiteau.load.inputs.url_encoding import form_encode
from chapiteau.load.scenario.flow import FlowRequest, FlowState

if TYPE_CHECKING:
    import random

__all__ = [
    "BodyTemplate",
    "PostmanFlow",
    "PostmanRequest",
    "SavedVariable",
    "ScriptEffects",
    "VariableTemplate",
    "is_dynamic",
    "json_value",
    "read_script",
    "read_variables",
]


# The two things that test scripts of collections mostly do, read from their text, never run.
#
# `pm.environment.set("token", json.access_token)` keeps a value of the answer for later requests;
# `pm.response.to.have.status(201)` and `pm.response.code … 201` say which status is good.

_ANSWER: Final = re.compile(
    r"(?:const|let|var)\s+(\w+)\s*=\s*(?:pm\.response\.json\(\)|JSON\.parse\(\s*responseBody\s*\))"
)
_SET: Final = re.compile(
    r"""(?:pm\.(?:environment|collectionVariables|globals|variables)\.set"""
    r"""|postman\.set(?:Environment|Global)Variable)\(\s*["']([^"']+)["']\s*,\s*"""
    r"""(pm\.response\.json\(\)|\w+)((?:\??\.\w+|\[\d+\]|\[["'][^"']+["']\])+)"""
)
_STATUS: Final = re.compile(
    r"(?:to\.have\.status\(|responseCode\.code\s*===?\s*|response\.code\s*===?\s*"
    r"|response\.code\)\.to\.(?:eql|equal)\()\s*(\d{3})"
)
_STEP: Final = re.compile(r"""\.(\w+)|\[(\d+)\]|\[["']([^"']+)["']\]""")
# Whatever else a script calls is told as left out.
_ELSE: Final = re.compile(r"pm\.sendRequest|setNextRequest|pm\.execution|pm\.require|CryptoJS")


@dataclass(frozen=True, slots=True)
class SavedVariable:
    """A variable that takes its value from an answer's JSON."""

    variable: str
    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ScriptEffects:
    """What a request's scripts come to."""

    kept: tuple[SavedVariable, ...] = ()
    statuses: frozenset[int] = frozenset()
    beyond: str = ""  # a call that is not followed


def read_script(text: str) -> ScriptEffects:
    """What a script keeps and expects."""
    answers = {m[1] for m in _ANSWER.finditer(text)}
    kept = tuple(
        SavedVariable(m[1], _steps(m[3]))
        for m in _SET.finditer(text)
        if m[2] in answers or m[2].startswith("pm.")
    )
    beyond = _ELSE.search(text)
    statuses = frozenset(int(m[1]) for m in _STATUS.finditer(text))
    return ScriptEffects(kept, statuses, beyond[0] if beyond else "")


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(m[2]) if m[2] else (m[1] or m[3]) for m in _STEP.finditer(path))


def json_value(answer: Any, steps: tuple[str | int, ...]) -> Any:
    """The value that the steps lead to; None when there is none."""
    node = answer
    for step in steps:
        if isinstance(node, Mapping) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


# `{{variables}}` of Postman: from collection and environment, from answers, or made by chance.

_NAME: Final = re.compile(r"\{\{([^{}]{1,200})\}\}")
_DEEPEST: Final = 10  # a variable's value may name others

_DYNAMIC: Final[dict[str, Callable[["random.Random"], str]]] = {
    "$randomInt": lambda chance: str(chance.randint(0, 1000)),
    "$randomBoolean": lambda chance: chance.choice(("true", "false")),
    "$randomAlphaNumeric": lambda chance: chance.choice("abcdefghijklmnopqrstuvwxyz0123456789"),
    "$timestamp": lambda chance: str(1_700_000_000 + chance.randrange(100_000_000)),
    "$randomPrice": lambda chance: f"{chance.randrange(100_000) / 100:.2f}",
    "$randomWords": lambda chance: random_words(chance, 3),
    "$randomLoremSentence": lambda chance: random_words(chance, 8).capitalize() + ".",
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
        return format_generator(_AS_FORMAT[name])
    # $randomFirstName, $randomCity, $randomPhoneNumber …: by what the name ends with.
    return name_generator(name.removeprefix("$random")) if name.startswith("$random") else None


class VariableTemplate:
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
                written[at] = VariableTemplate(values[name]).fill(values, chance, depth + 1)
            elif writer is not None:
                written[at] = writer(chance)
            else:
                written[at] = "{{" + written[at] + "}}"
        return "".join(written)


_VALUES: Final = "postman variables"  # key in Seen.values

# A name and a value, both with variables.
Pair = tuple[VariableTemplate, VariableTemplate]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTemplate:
    """A request's body with its variables."""

    kind: str = ""  # raw form multipart
    text: VariableTemplate
    pairs: tuple[Pair, ...] = ()
    media: str = ""
    kinds: tuple[str, ...] = ()  # content type of each pair's part, where it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class PostmanRequest:
    """One request of the collection."""

    name: str
    folder: str
    method: str
    url: VariableTemplate
    headers: tuple[Pair, ...]
    body: BodyTemplate
    script: ScriptEffects


class PostmanFlow:
    """The whole collection, once a session."""

    def __init__(
        self, name: str, steps: tuple[PostmanRequest, ...], variables: Mapping[str, str]
    ) -> None:
        self._name = name
        self._steps = steps
        self._variables = dict(variables)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._name

    def outline(self) -> list[str]:
        """The requests in their order, with what they keep for later ones."""
        lines = []
        for step in self._steps:
            kept = ", ".join(k.variable for k in step.script.kept)
            lines.append(f"{step.method} {step.name}" + (f"  (keeps {kept})" if kept else ""))
        return lines

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The request after those that were answered."""
        values: dict[str, str] = seen.values.setdefault(_VALUES, dict(self._variables))
        if seen.steps and seen.last is not None:
            for kept in self._steps[seen.steps - 1].script.kept:
                value = json_value(seen.last.json, kept.steps)
                if value is not None:
                    values[kept.variable] = plain_text(value)
        if seen.steps >= len(self._steps):
            return None
        return _written(self._steps[seen.steps], values, chance)


def _written(
    step: PostmanRequest, values: Mapping[str, str], chance: "random.Random"
) -> FlowRequest:
    def filled(pairs: tuple[Pair, ...]) -> list[tuple[str, str]]:
        return [(name.fill(values, chance), value.fill(values, chance)) for name, value in pairs]

    headers = filled(step.headers)
    media, body = "", b""
    if step.body.kind == "raw":
        body = step.body.text.fill(values, chance).encode("utf-8", "replace")
        media = step.body.media
    elif step.body.kind == "form":
        body = form_encode(filled(step.body.pairs)).encode()
        media = "application/x-www-form-urlencoded"
    elif step.body.kind == "multipart":
        filled_in = zip(filled(step.body.pairs), step.body.kinds, strict=True)
        parts = [(name, "", kind, value.encode()) for (name, value), kind in filled_in]
        media, body = encode_multipart(parts, f"chapiteau-{chance.getrandbits(64):016x}")
    return FlowRequest(
        method=step.method,
        url=step.url.fill(values, chance).replace(" ", "%20"),
        headers=kept_headers(with_content_type(headers, media)),
        body=body,
        name=step.name,
        expect=step.script.statuses,
        tags=(step.folder,) if step.folder else (),
        remember=bool(step.script.kept),
    )
