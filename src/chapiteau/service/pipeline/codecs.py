"""Media types: how a value becomes bytes, and bytes a value."""

import csv
import functools
import io
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from chapiteau.service.declare.pydantic_types import (
    PydanticIssueCollector,
    encode_unknown,
    is_pydantic,
    issue_collector,
    json_dumper,
    type_adapter,
)
from chapiteau.service.declare.records import fields_of, is_record
from chapiteau.service.declare.validation import IssueCollector
from chapiteau.service.errors import DeclarationError
from chapiteau.service.pipeline.forms import FormFields
from chapiteau.service.pipeline.repeated_keys import (
    cannot_repeat_msgpack,
    count_json_keys,
    min_keys,
    repeated_json_keys,
    repeated_msgpack_keys,
)
from chapiteau.service.protocol.headers import parse_query
from chapiteau.service.protocol.problem import ErrorDetail, MalformedRequestError

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
    "floats_to_ints",
]

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CBOR: Final = "application/cbor"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
FORM: Final = "application/x-www-form-urlencoded"

_json = msgspec.json.Encoder(enc_hook=encode_unknown)


def encoder_for(media: str, kind: Any = Any) -> Callable[[Any], bytes]:
    """What writes a media type. Raises DeclarationError for one that nobody can write.

    Bytes are written as they are, whatever they are said to be; in JSON they are Base64.
    """
    encoders: dict[str, Callable[[Any], bytes]] = {
        JSON: _json.encode,
        MSGPACK: msgspec.msgpack.Encoder(enc_hook=encode_unknown).encode,
        NDJSON: _json.encode_lines,
        CSV: functools.partial(_csv, head=_columns(kind)),
    }
    if is_pydantic(kind) and media in (JSON, MSGPACK, NDJSON, CSV, CBOR):
        return _model_encoder(media, kind, encoders.get(media))
    if media in encoders:
        return encoders[media]
    if media.endswith("+json"):
        return _json.encode
    if kind is bytes and media != CBOR:
        return bytes
    if media == CBOR:
        return _cbor_writer()
    raise DeclarationError(
        f"nothing here writes {media}",
        hint=f"known: {', '.join(encoders)}, {CBOR}, application/*+json",
    )


def _cbor_writer() -> Callable[[Any], bytes]:
    dumps = _cbor().dumps

    def write(value: Any) -> bytes:
        made: bytes = dumps(
            msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=encode_unknown)
        )
        return made

    return write


def _model_encoder(
    media: str, kind: Any, encode: Callable[[Any], bytes] | None
) -> Callable[[Any], bytes]:
    """pydantic writes JSON itself; for other media types it gives us plain values."""
    dump = json_dumper(kind)
    if media == JSON:
        return dump
    write = encode or _cbor_writer()
    return lambda value: write(msgspec.json.decode(dump(value)))


def _csv(value: Any, *, head: tuple[str, ...] = ()) -> bytes:
    """A list of records as a table (RFC 4180); the fields make the head.

    Columns are those of the declared type, and what else any record has in the order in which it
    appears: so no record loses anything, and a table without records has a head.

    A cell that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    several = isinstance(value, Iterable) and not isinstance(value, str | Mapping)
    rows = msgspec.to_builtins(value if several else [value], enc_hook=encode_unknown)
    text = io.StringIO()
    writer = csv.writer(text)
    if (head and not rows) or any(isinstance(row, dict) for row in rows):
        records = [row if isinstance(row, dict) else {"": row} for row in rows]
        known = list(dict.fromkeys([*head, *(name for row in records for name in row)]))
        writer.writerow(known)
        rows = [[row.get(name) for name in known] for row in records]
    for row in rows:
        writer.writerow([_cell(c) for c in (row if isinstance(row, list) else [row])])
    return text.getvalue().encode()


def _columns(kind: Any) -> tuple[str, ...]:
    """The names of the fields of what a list holds, if that is one kind of record."""
    inner = typing.get_args(kind)
    record = inner[0] if len(inner) == 1 else kind
    config = getattr(record, "__struct_config__", None)
    if is_pydantic(kind) or not is_record(record) or (config is not None and config.array_like):
        return ()
    tag = (config.tag_field,) if config is not None and config.tag is not None else ()
    return (*tag, *(field.wire for field in fields_of(record)))


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return "'" + value
    if isinstance(value, dict | list):
        return _json.encode(value).decode()
    return value


class Codec(NamedTuple):
    """Reads one media type as one declared type: fast, and on failure every issue."""

    decode: Callable[[bytes], Any]
    parse: Callable[[bytes], Any]  # to plain values, for the second pass
    issues: IssueCollector | PydanticIssueCollector  # of plain values


def decoder_for(media: str, kind: Any) -> Codec:
    """What reads a media type as a `kind`. Raises DeclarationError."""
    parse = _parser(media, kind)
    issues = issue_collector(kind, strict=media != FORM)
    if isinstance(issues, PydanticIssueCollector):
        return Codec(_model_decoder(media, kind, parse, issues), parse, issues)
    return Codec(_decoder(media, kind, parse), parse, issues)


def _parser(media: str, kind: Any) -> Callable[[bytes], Any]:
    """What reads a media type to plain values; a key that comes twice is refused."""
    if media == JSON or media.endswith("+json"):
        return _parse_json
    if media == MSGPACK:
        return _parse_msgpack
    if media == CBOR:
        return _cbor_parser()
    if media == FORM:
        fields = FormFields(kind)
        return lambda data: fields.read(parse_query(data.decode("ascii")))
    known = f"{JSON}, {MSGPACK}, {CBOR}, {FORM}, multipart/form-data"
    raise DeclarationError(f"nothing here reads {media}", hint=f"known: {known}")


def _decoder(media: str, kind: Any, parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """What reads a media type to its type; the decoders of msgspec where it has one."""
    if media in (CBOR, FORM):
        return lambda data: msgspec.convert(parse(data), kind, strict=media != FORM)
    if media == MSGPACK:
        convert = msgspec.msgpack.Decoder(kind).decode

        def decode_msgpack(data: bytes) -> Any:
            value = convert(data)
            parse(data)
            return value

        return decode_msgpack
    typed, fewest = msgspec.json.Decoder(kind).decode, min_keys(kind)

    def decode_json(data: bytes) -> Any:
        value = typed(data)
        if count_json_keys(data) > fewest and (repeated := repeated_json_keys(data)):
            raise _repeats(repeated)
        return value

    return decode_json


def _model_decoder(
    media: str, kind: Any, parse: Callable[[bytes], Any], issues: PydanticIssueCollector
) -> Callable[[bytes], Any]:
    """The same for what pydantic reads: our rules for the text, its rules for the values."""
    if media == FORM:
        return lambda data: issues.read(parse(data))
    if media != JSON:
        return lambda data: issues.read(floats_to_ints(parse(data)))
    read = type_adapter(kind).validate_json

    def decode(data: bytes) -> Any:
        value = parse(data)
        try:
            return read(data, strict=True)
        except ValueError:
            return issues.read(floats_to_ints(value))

    return decode


def _parse_json(data: bytes) -> Any:
    value = msgspec.json.decode(data)
    if repeated := repeated_json_keys(data):
        raise _repeats(repeated)
    return value


def _parse_msgpack(data: bytes) -> Any:
    value = msgspec.msgpack.decode(data)
    if not cannot_repeat_msgpack(data, value) and (repeated := repeated_msgpack_keys(data)):
        raise _repeats(repeated)
    return _finite(value)


def _repeats(pointers: list[str]) -> MalformedRequestError:
    said = [
        ErrorDetail(place="body", pointer=at, code="repeated", detail="is given twice")
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


def _cbor_parser() -> Callable[[bytes], Any]:
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


def floats_to_ints(value: Any) -> Any:
    """Floats that are whole numbers become ints, at any depth."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [floats_to_ints(item) for item in value]
    if isinstance(value, dict):
        return {key: floats_to_ints(item) for key, item in value.items()}
    return value
