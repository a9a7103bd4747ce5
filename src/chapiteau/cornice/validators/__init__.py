"""Validators that read a request by a colander or marshmallow schema."""

from typing import Any, Final

from chapiteau.cornice.validators import _colander, _marshmallow
from chapiteau.cornice.validators._extracting import extract_cstruct

__all__ = [
    "DEFAULT_FILTERS",
    "DEFAULT_VALIDATORS",
    "colander_body_validator",
    "colander_headers_validator",
    "colander_path_validator",
    "colander_querystring_validator",
    "colander_validator",
    "extract_cstruct",
    "marshmallow_body_validator",
    "marshmallow_headers_validator",
    "marshmallow_path_validator",
    "marshmallow_querystring_validator",
    "marshmallow_validator",
]

DEFAULT_VALIDATORS: Final[list[Any]] = []
DEFAULT_FILTERS: Final[list[Any]] = []

colander_validator = _colander.validator
colander_body_validator = _colander.body_validator
colander_headers_validator = _colander.headers_validator
colander_path_validator = _colander.path_validator
colander_querystring_validator = _colander.querystring_validator

marshmallow_validator = _marshmallow.validator
marshmallow_body_validator = _marshmallow.body_validator
marshmallow_headers_validator = _marshmallow.headers_validator
marshmallow_path_validator = _marshmallow.path_validator
marshmallow_querystring_validator = _marshmallow.querystring_validator
