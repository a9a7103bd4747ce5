"""Bodies in `multipart/form-data` (RFC 7578): bounded, with files that don't fill the memory."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import multipart

from chapiteau.service.declare.operation import accepts_datetime, accepts_fraction, is_multiple
from chapiteau.service.declare.pydantic_types import PydanticIssueCollector, issue_collector
from chapiteau.service.declare.records import fields_of, is_record
from chapiteau.service.declare.signature import Upload
from chapiteau.service.declare.validation import ValidationIssue
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import MalformedRequestError, problem_for

__all__ = ["MULTIPART", "UNREADABLE", "FormFields", "FormPlan", "sanitise_text"]


# Texts of forms and parameters on their way to types: what msgspec would take too readily.

UNREADABLE: Final = "\x00"  # in the place of a text that no type may take


def sanitise_text(text: str, *, number: bool, moment: bool) -> str:
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
        self._many = {field.wire for field in fields if is_multiple(field.kind)}
        self._rules = {
            field.wire: (accepts_fraction(field.kind), accepts_datetime(field.kind))
            for field in fields
        }

    def read(self, given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """A value for each name; one that is given several times, or may be, becomes a list."""
        found: dict[str, Any] = {}
        for name, text in given:
            number, moment = self._rules.get(name, (False, False))
            odd = isinstance(text, str) and (number or moment)
            value = sanitise_text(text, number=number, moment=moment) if odd else text
            if name in found:
                before = found[name]
                found[name] = [*(before if isinstance(before, list) else [before]), value]
            else:
                found[name] = [value] if name in self._many else value
        return found


MULTIPART: Final = "multipart/form-data"
_KEY: Final = "chapiteau.form"
_IN_MEMORY: Final = 64 * 1024  # bytes of a part above which it goes to a file
_PARTS: Final = 128
_TEXT: Final = 1 << 20  # bytes of one part that is no file


class FormPlan:
    """How to read the forms of one operation as its declared type."""

    def __init__(self, kind: Any, max_body: int) -> None:
        self._kind = kind
        self._max = max_body
        self._fields = FormFields(kind)
        self._explain = issue_collector(kind, strict=False)

    def read(self, environ: Environ) -> Any:
        """The value. Raises ProblemError or msgspec.ValidationError."""
        if isinstance(self._explain, PydanticIssueCollector):
            return self._explain.read(self._form(environ))
        return msgspec.convert(self._form(environ), self._kind, strict=False)

    def complaints(self, environ: Environ) -> list[ValidationIssue]:
        """Everything that is wrong with the form. Raises ProblemError when it can't be read."""
        return self._explain(self._form(environ))

    def _form(self, environ: Environ) -> dict[str, Any]:
        """The fields; kept with the request, for the stream can be read but once."""
        found: dict[str, Any] | None = environ.get(_KEY)
        if found is None:
            pairs = [(part.name, _value(part)) for part in self._parts(environ)]
            found = environ[_KEY] = self._fields.read(pairs)
        return found

    def _parts(self, environ: Environ) -> list[Any]:
        length = environ.get("CONTENT_LENGTH") or "-1"
        if int(length) > self._max:
            raise problem_for(413, f"a body may have {self._max} bytes here, not {length}")
        if length == "-1" and not environ.get("wsgi.input_terminated"):
            raise problem_for(411, "a form needs a Content-Length")
        _, options = multipart.parse_options_header(environ.get("CONTENT_TYPE", ""))
        boundary = options.get("boundary", "")
        if not boundary:
            raise MalformedRequestError("the Content-Type of a form names no boundary")
        source = _Bounded(environ["wsgi.input"], self._max)
        parser = multipart.MultipartParser(
            source,
            boundary,
            content_length=int(length),
            strict=True,
            part_limit=_PARTS,
            spool_limit=_IN_MEMORY,
            disk_limit=self._max,
        )
        try:
            return list(parser.parts())
        except multipart.ParserLimitReached as exc:
            raise problem_for(413, f"the form is too large: {exc}") from None
        except (multipart.MultipartError, ValueError) as exc:
            raise MalformedRequestError(f"the form can't be read: {exc}") from None


class _Bounded:
    """Reads no more than is allowed, also when nobody has said how much will come."""

    def __init__(self, source: Any, most: int) -> None:
        self._source, self._left = source, most

    def read(self, size: int) -> bytes:
        data: bytes = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise problem_for(413, "the form is larger than a body may be here")
        return data


def _value(part: Any) -> str | Upload:
    if part.filename is not None:
        return Upload(
            part.file, filename=part.filename, content_type=part.content_type, size=part.size
        )
    if part.size > _TEXT:
        raise problem_for(413, f"a field may have {_TEXT} bytes, {part.name!r} has {part.size}")
    try:
        text: str = part.value
    except (UnicodeError, LookupError):
        raise MalformedRequestError(f"the field {part.name!r} is not text") from None
    finally:
        part.close()
    return text
