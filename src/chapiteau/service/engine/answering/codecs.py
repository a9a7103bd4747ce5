"""Media types: how a value becomes bytes, and bytes a value."""

import csv
import io
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import inspect

from chapiteau.service.errors import DeclarationError
from chapiteau.service.logic.explain import Explainer
from chapiteau.service.logic.invalid import MalformedRequestError
from chapiteau.service.logic.problem import Detail
from chapiteau.service.logic.wire.query import pairs
from chapiteau.service.logic.wire.repeated import (
    fewest_keys,
    repeated_in_json,
    repeated_in_msgpack,
    unlikely_in_msgpack,
)

__all__ = [
    "CBOR",
    "CSV",
    "FORM",
    "JSON",
    "MSGPACK",
    "NDJSON",
    "Codec",
    "decoder_for",
    "encoder_for",
    "fields_of",
    "many_of",
]

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CBOR: Final = "application/cbor"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
FORM: Final = "application/x-www-form-urlencoded"

_json = msgspec.json.Encoder()


def encoder_for(media: str) -> Callable[[Any], bytes]:
    """What writes a media type. Raises DeclarationError for one that nobody can write."""
    encoders: dict[str, Callable[[Any], bytes]] = {
        JSON: _json.encode,
        MSGPACK: msgspec.msgpack.Encoder().encode,
        NDJSON: _json.encode_lines,
        CSV: _csv,
    }
    if media in encoders:
        return encoders[media]
    if media.endswith("+json"):
        return _json.encode
    if media == CBOR:
        dumps = _cbor().dumps
        return lambda value: dumps(msgspec.to_builtins(value, builtin_types=(bytes,)))
    raise DeclarationError(
        f"nothing here writes {media}",
        hint=f"known: {', '.join(encoders)}, {CBOR}, application/*+json",
    )


def _csv(value: Any) -> bytes:
    """A list of records as a table (RFC 4180); the first record's fields make the head.

    A cell that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    rows = msgspec.to_builtins(value if isinstance(value, Iterable) else [value])
    if isinstance(rows, dict):
        rows = [rows]
    text = io.StringIO()
    writer = csv.writer(text)
    if rows and isinstance(rows[0], dict):
        head = list(rows[0])
        writer.writerow(head)
        rows = [[row.get(name) for name in head] for row in rows]
    for row in rows:
        writer.writerow([_cell(c) for c in (row if isinstance(row, list) else [row])])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return "'" + value
    if isinstance(value, dict | list):
        return _json.encode(value).decode()
    return value


class Codec:
    """Reads one media type as one declared type: fast, and on failure every complaint."""

    __slots__ = ("_explain", "decode", "parse")

    def __init__(
        self, decode: Callable[[bytes], Any], parse: Callable[[bytes], Any], explain: Explainer
    ) -> None:
        self.decode = decode
        self.parse = parse  # to plain values, for the second pass
        self._explain = explain

    def complaints(self, value: Any) -> Any:
        """Everything that is wrong with plain values."""
        return self._explain(value)


def decoder_for(media: str, kind: Any) -> Codec:
    """What reads a media type as a `kind`. Raises DeclarationError."""
    if media == JSON or media.endswith("+json"):
        return Codec(*_json_readers(kind), Explainer(kind))
    if media == MSGPACK:
        return Codec(*_msgpack_readers(kind), Explainer(kind))
    if media == CBOR:
        parse = _cbor_reader()
        return Codec(lambda data: msgspec.convert(parse(data), kind), parse, Explainer(kind))
    if media == FORM:
        many = many_of(kind)

        def form(data: bytes) -> dict[str, Any]:
            return fields_of(pairs(data.decode("ascii")), many)

        explain = Explainer(kind, strict=False)
        return Codec(lambda data: msgspec.convert(form(data), kind, strict=False), form, explain)
    known = f"{JSON}, {MSGPACK}, {CBOR}, {FORM}, multipart/form-data"
    raise DeclarationError(f"nothing here reads {media}", hint=f"known: {known}")


def _json_readers(kind: Any) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """To the type, and to plain values; a key that comes twice is refused by both."""
    typed, plain, fewest = msgspec.json.Decoder(kind).decode, msgspec.json.decode, fewest_keys(kind)

    def decode(data: bytes) -> Any:
        value = typed(data)
        if b":" in data and (repeated := repeated_in_json(data, fewest)):
            raise _repeats(repeated)
        return value

    def parse(data: bytes) -> Any:
        value = plain(data)
        if repeated := repeated_in_json(data):
            raise _repeats(repeated)
        return value

    return decode, parse


def _msgpack_readers(kind: Any) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    plain, convert = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Decoder(kind).decode

    def parse(data: bytes) -> Any:
        value = plain(data)
        if not unlikely_in_msgpack(data, value) and (repeated := repeated_in_msgpack(data)):
            raise _repeats(repeated)
        return _finite(value)

    def decode(data: bytes) -> Any:
        value = convert(data)
        parse(data)
        return value

    return decode, parse


def _repeats(pointers: list[str]) -> MalformedRequestError:
    said = [
        Detail(place="body", pointer=at, code="repeated", detail="is given twice")
        for at in pointers
    ]
    return MalformedRequestError("an object holds a key twice, see errors", errors=said)


def _finite(value: Any) -> Any:
    """The value itself. Raises MalformedRequestError for NaN and infinity, which JSON can't say."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one
        elif isinstance(one, float) and not math.isfinite(one):
            raise MalformedRequestError(f"the body holds {one}, which is no number")
    return value


def _cbor() -> Any:
    try:
        import cbor2
    except ImportError:
        raise DeclarationError(
            f"{CBOR} needs cbor2, which is not installed", hint="pip install 'chapiteau[cbor]'"
        ) from None
    return cbor2


def _cbor_reader() -> Callable[[bytes], Any]:
    """Plain values out of CBOR (RFC 8949). Raises msgspec.DecodeError."""
    cbor2 = _cbor()

    def parse(data: bytes) -> Any:
        source = io.BytesIO(data)
        try:
            value = cbor2.load(source, allow_duplicate_keys=False, max_depth=100)
        except (cbor2.CBORError, ValueError, TypeError, RecursionError) as exc:
            raise msgspec.DecodeError(f"CBOR is malformed: {exc}") from None
        if source.read(1):
            raise msgspec.DecodeError("CBOR is malformed: more bytes behind the value")
        return _finite(value)

    return parse


def many_of(kind: Any) -> frozenset[str]:
    """The fields of a record that take several values: one that comes alone is a list too."""
    lists = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
    found = set()
    for field in getattr(inspect.type_info(kind), "fields", ()):
        parts = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(part, lists) for part in parts):
            found.add(field.encode_name)
    return frozenset(found)


def fields_of(given: Iterable[tuple[str, Any]], many: frozenset[str]) -> dict[str, Any]:
    """Form fields; one that is given several times, or may be, becomes a list."""
    found: dict[str, Any] = {}
    for name, value in given:
        if name in found:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = [value] if name in many else value
    return found
