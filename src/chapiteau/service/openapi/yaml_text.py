"""JSON values as YAML 1.2, just enough for documents: block style, strings quoted when in doubt."""

import json
import re
from typing import Any, Final

__all__ = ["to_yaml"]

# A plain word that no YAML reader takes for anything else than itself.
_PLAIN: Final = re.compile(r"[A-Za-z_/$][A-Za-z0-9_/$. -]*[A-Za-z0-9_/$]|[A-Za-z_/$]")
# What YAML does not take as it is (YAML 1.2 §5.1), beside what JSON has escaped already.
_ODD: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"}


def to_yaml(value: Any) -> str:
    """The text, with a line end behind it."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(key, item, indent)]
    if isinstance(value, list) and value:
        found = []
        for item in value:
            first, *rest = _lines(item, indent + "  ")
            found += [f"{indent}- {first.lstrip()}", *rest]
        return found
    return [indent + _scalar(value)]


def _entry(key: str, value: Any, indent: str) -> list[str]:
    name = _scalar(str(key))
    if isinstance(value, dict | list) and value:
        return [f"{indent}{name}:", *_lines(value, indent + "  ")]
    return [f"{indent}{name}: {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")  # without a point, YAML 1.1 reads a string
    return _ODD.sub(lambda m: f"\\U{ord(m[0]):08x}", text)
