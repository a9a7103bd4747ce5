"""The body of a request: bounded, of a known type, decoded to the declared type."""

from io import BytesIO
from typing import Any

import msgspec

from chapiteau.service.declare.operation import BodySpec
from chapiteau.service.declare.pydantic_types import is_pydantic
from chapiteau.service.declare.text_formats import contains_decimal, non_finite_decimals
from chapiteau.service.declare.validation import missing_detail, to_details
from chapiteau.service.pipeline.codecs import JSON, Codec, decoder_for, floats_to_ints
from chapiteau.service.pipeline.content_coding import decode_content
from chapiteau.service.pipeline.forms import MULTIPART, FormPlan
from chapiteau.service.protocol.headers import Environ, media_parameter, media_type
from chapiteau.service.protocol.problem import (
    ErrorDetail,
    InvalidRequestError,
    MalformedRequestError,
    problem_for,
)

__all__ = ["BodyPlan", "read_bytes"]


class BodyPlan:
    """How to read the body of one operation."""

    def __init__(self, spec: BodySpec, max_body: int, consumes: tuple[str, ...]) -> None:
        self.argument = spec.argument
        self._spec = spec
        self._max = max_body
        self._raw = spec.type is bytes
        plain = () if self._raw else tuple(m for m in consumes if m != MULTIPART)
        self._codecs = {m: decoder_for(m, spec.type) for m in plain}
        exact = not self._raw and not is_pydantic(spec.type)
        self._decimals = exact and contains_decimal(spec.type)
        self._first = self._codecs[plain[0]] if plain else None
        with_files = MULTIPART in consumes and not self._raw
        self._form = FormPlan(spec.type, max_body) if with_files else None

    def read(self, environ: Environ) -> Any:
        """The value. Raises ProblemError, ValueError or msgspec's errors; then ask `explain`."""
        if self._form is not None and _is_form(environ):
            return self._form.read(environ)
        data = self._bytes(environ)
        if not data and not self._spec.required:
            return self._spec.default
        content_type = environ.get("CONTENT_TYPE", "")
        codec = self._codecs.get(content_type) or self._codec(content_type)
        if codec is None:
            return data
        try:
            value = codec.decode(data)
        except msgspec.ValidationError as exc:
            if "got `float`" not in str(exc):
                raise
            # JSON knows one kind of number: 2.0 is an integer too (JSON Schema 2020-12, 4.2.3).
            value = msgspec.convert(floats_to_ints(_parsed(codec, data)), self._spec.type)
        if self._decimals and (odd := non_finite_decimals(value)):
            raise InvalidRequestError(to_details("body", odd))
        return value

    def _bytes(self, environ: Environ) -> bytes:
        data = read_bytes(environ, self._max)
        return (
            decode_content(environ, data, self._max) if "HTTP_CONTENT_ENCODING" in environ else data
        )

    def _codec(self, content_type: str) -> Codec | None:
        """Who reads this media type; None: it is taken as it comes. Raises ProblemError (415)."""
        if self._raw:
            return None
        kind = media_type(content_type)
        charset = media_parameter(content_type, "charset")
        if charset and charset.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise problem_for(415, f"text must be UTF-8 here, not {charset}")
        found = self._first if not kind else self._codecs.get(kind)
        if found is None and kind.endswith("+json"):
            found = self._codecs.get(JSON)
        if found is None:
            known = ", ".join([*self._codecs, *([MULTIPART] if self._form else [])])
            raise problem_for(415, f"{kind} can't be read here", headers={"Accept": known})
        return found

    def explain(self, environ: Environ) -> list[ErrorDetail]:
        """Everything that is wrong with the body. Raises ProblemError when it can't be read."""
        if self._form is not None and _is_form(environ):
            return to_details("body", self._form.complaints(environ))
        data = self._bytes(environ)
        codec = self._codec(environ.get("CONTENT_TYPE", ""))
        if codec is None or (not data and not self._spec.required):
            return []
        if not data:
            return [missing_detail("body", "", "a body must be given")]
        value = _parsed(codec, data)
        found = codec.issues(value)
        if any("got `float`" in one.detail for one in found):
            found = codec.issues(floats_to_ints(value))
        return to_details("body", found)


def _is_form(environ: Environ) -> bool:
    return media_type(environ.get("CONTENT_TYPE", "")) == MULTIPART


def _parsed(codec: Codec, data: bytes) -> Any:
    try:
        return codec.parse(data)
    except UnicodeError:
        raise MalformedRequestError("the body is not UTF-8") from None
    except RecursionError:
        raise MalformedRequestError("the body is nested too deeply") from None
    except msgspec.MsgspecError as exc:
        raise MalformedRequestError(f"the body can't be read: {exc}") from None


def read_bytes(environ: Environ, most: int) -> bytes:
    """The body's bytes; a later reader of `wsgi.input` finds them again. Raises ProblemError."""
    length = environ.get("CONTENT_LENGTH")
    source = environ["wsgi.input"]
    if length:
        size = int(length)
        if size > most:
            raise problem_for(413, f"a body may have {most} bytes here, not {size}")
        if type(source) is BytesIO:  # our own worker's, or ours: it need not be wound back
            data: bytes = source.getvalue()
            if len(data) == size:
                return data
        data = source.read(size)
        if len(data) < size:
            raise MalformedRequestError("the body ends early")
    elif environ.get("wsgi.input_terminated"):
        data = source.read(most + 1)
        if len(data) > most:
            raise problem_for(413, f"a body may have {most} bytes here")
        environ["CONTENT_LENGTH"] = str(len(data))
    else:
        data = b""
    environ["wsgi.input"] = BytesIO(data)
    return data
