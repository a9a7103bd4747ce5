"""Strings for the named formats of JSON Schema and OpenAPI, and for what a field's name says."""

import base64
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

__all__ = ["StringGenerator", "format_generator", "name_generator", "random_words", "typical_range"]

StringGenerator = Callable[["random.Random"], str]

_WORDS: Final = (
    "amber apple arrow autumn basin birch bridge canal cedar circus cloud copper coral delta "
    "ember falcon field garden granite harbour hazel island ivory juniper lantern lemon linen "
    "maple market meadow mint north ocean olive orchard pearl pepper pine plaza quartz river "
    "saffron silver spring station stone summer tent thunder tulip valley velvet violet walnut "
    "water willow winter"
).split()
_GIVEN: Final = ("Ada", "Amina", "Bruno", "Chen", "Dana", "Emeka", "Freya", "Goran", "Hana", "Iris")
_FAMILY: Final = ("Almeida", "Berg", "Costa", "Dubois", "Eriksen", "Fontana", "Gupta", "Haddad")
_CITIES: Final = ("Lisbon", "Nairobi", "Osaka", "Bogota", "Lyon", "Tunis", "Perth", "Oslo")
_COUNTRIES: Final = ("PT", "KE", "JP", "CO", "FR", "TN", "AU", "NO")
_START: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_SPAN: Final = 6 * 365 * 86_400  # seconds; dates fall in the six years from _START


def random_words(chance: "random.Random", count: int) -> str:
    """So many plain words, with spaces between."""
    return " ".join(chance.choices(_WORDS, k=count))


def format_generator(name: str) -> StringGenerator | None:
    """What writes strings of the format `name`; None when the format is not known here."""
    return _FORMATS.get(name)


def name_generator(name: str) -> StringGenerator | None:
    """What writes strings such as a field of this name holds; None when it tells nothing.

    The last word of the name decides: `billingEmail` and `billing_email` are e-mail addresses.
    """
    return _NAMES.get(_last_word(name))


def _last_word(name: str) -> str:
    start = len(name)
    while start > 0:
        start -= 1
        if name[start] in "_-. " or (name[start].isupper() and start < len(name) - 1):
            break
    return name[start:].strip("_-. ").lower()


def _moment(chance: "random.Random") -> datetime.datetime:
    return _START + datetime.timedelta(seconds=chance.randrange(_SPAN))


def _word(chance: "random.Random") -> str:
    return chance.choice(_WORDS)


def _date_time(chance: "random.Random") -> str:
    return _moment(chance).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(chance: "random.Random") -> str:
    return _moment(chance).strftime("%Y-%m-%d")


def _time(chance: "random.Random") -> str:
    return _moment(chance).strftime("%H:%M:%SZ")


def _duration(chance: "random.Random") -> str:
    return f"P{chance.randint(0, 30)}DT{chance.randint(0, 23)}H{chance.randint(1, 59)}M"


def _host(chance: "random.Random") -> str:
    # RFC 2606: example.com is nobody's, so that no stranger is ever mailed or called.
    return f"{_word(chance)}-{chance.randrange(1000)}.example.com"


def _email(chance: "random.Random") -> str:
    return f"{_word(chance)}.{chance.randrange(1_000_000)}@example.com"


def _path(chance: "random.Random") -> str:
    return f"/{_word(chance)}/{_word(chance)}"


def _uri(chance: "random.Random") -> str:
    return f"https://{_host(chance)}{_path(chance)}"


def _uuid(chance: "random.Random") -> str:
    digits = f"{chance.getrandbits(128):032x}"
    # RFC 9562, version 4: random, with the version and variant digits in their places.
    third, fourth = f"4{digits[13:16]}", f"{'89ab'[chance.randrange(4)]}{digits[17:20]}"
    return f"{digits[:8]}-{digits[8:12]}-{third}-{fourth}-{digits[20:]}"


def _ipv4(chance: "random.Random") -> str:
    return f"192.0.2.{chance.randint(1, 254)}"  # RFC 5737: for documentation


def _ipv6(chance: "random.Random") -> str:
    return f"2001:db8::{chance.randrange(1, 0xFFFF):x}"  # RFC 3849: for documentation


def _base64(chance: "random.Random") -> str:
    return base64.b64encode(random_words(chance, 3).encode()).decode()


def _phone(chance: "random.Random") -> str:
    return f"+1202555{chance.randint(100, 199):04d}"  # reserved for fiction


def _person(chance: "random.Random") -> str:
    return f"{chance.choice(_GIVEN)} {chance.choice(_FAMILY)}"


def _sentence(chance: "random.Random") -> str:
    return random_words(chance, chance.randint(4, 12)).capitalize() + "."


def _title(chance: "random.Random") -> str:
    return random_words(chance, chance.randint(1, 3)).title()


_FORMATS: Final[dict[str, StringGenerator]] = {
    "date-time": _date_time,
    "date": _date,
    "time": _time,
    "duration": _duration,
    "email": _email,
    "idn-email": _email,
    "hostname": _host,
    "idn-hostname": _host,
    "ipv4": _ipv4,
    "ip": _ipv4,
    "ipv6": _ipv6,
    "uri": _uri,
    "url": _uri,
    "iri": _uri,
    "uri-reference": _path,
    "iri-reference": _path,
    "uri-template": lambda chance: f"{_path(chance)}/{{id}}",
    "uuid": _uuid,
    "json-pointer": _path,
    "relative-json-pointer": lambda chance: f"{chance.randrange(3)}{_path(chance)}",
    "regex": lambda chance: f"^{_word(chance)}[0-9]+$",
    "byte": _base64,
    "base64": _base64,
    "base64url": lambda chance: _base64(chance).translate({43: 45, 47: 95}),
    "password": lambda chance: f"{_word(chance)}-{_word(chance)}-{chance.randint(10, 99)}",
    "phone": _phone,
    "decimal": lambda chance: f"{chance.randrange(100_000) / 100:.2f}",
    "int64": lambda chance: str(chance.randrange(1_000_000)),
}

_NAMES: Final[dict[str, StringGenerator]] = {
    "email": _email,
    "mail": _email,
    "url": _uri,
    "uri": _uri,
    "link": _uri,
    "website": _uri,
    "homepage": _uri,
    "host": _host,
    "hostname": _host,
    "phone": _phone,
    "mobile": _phone,
    "ip": _ipv4,
    "uuid": _uuid,
    "guid": _uuid,
    "firstname": lambda chance: chance.choice(_GIVEN),
    "lastname": lambda chance: chance.choice(_FAMILY),
    "surname": lambda chance: chance.choice(_FAMILY),
    "author": _person,
    "user": lambda chance: f"{_word(chance)}{chance.randrange(10_000)}",
    "username": lambda chance: f"{_word(chance)}{chance.randrange(10_000)}",
    "login": lambda chance: f"{_word(chance)}{chance.randrange(10_000)}",
    "name": _title,
    "title": _title,
    "subject": _title,
    "city": lambda chance: chance.choice(_CITIES),
    "country": lambda chance: chance.choice(_COUNTRIES),
    "street": lambda chance: f"{_word(chance).title()} Street {chance.randint(1, 99)}",
    "address": lambda chance: f"{_word(chance).title()} Street {chance.randint(1, 99)}",
    "zip": lambda chance: f"{chance.randint(10_000, 99_999)}",
    "postcode": lambda chance: f"{chance.randint(10_000, 99_999)}",
    "currency": lambda chance: chance.choice(("EUR", "USD", "JPY", "KES")),
    "language": lambda chance: chance.choice(("en", "fr", "pt", "sw")),
    "locale": lambda chance: chance.choice(("en-GB", "fr-FR", "pt-PT")),
    "colour": lambda chance: chance.choice(("red", "green", "blue", "black")),
    "color": lambda chance: chance.choice(("red", "green", "blue", "black")),
    "date": _date,
    "text": _sentence,
    "body": _sentence,
    "content": _sentence,
    "comment": _sentence,
    "message": _sentence,
    "note": _sentence,
    "description": _sentence,
    "summary": _sentence,
    "slug": lambda chance: f"{_word(chance)}-{_word(chance)}-{chance.randrange(1000)}",
    "tag": _word,
    "version": lambda chance: f"{chance.randrange(5)}.{chance.randrange(20)}.{chance.randrange(9)}",
}

# Numbers that people mean by a field of this name: the lowest and the highest.
_NUMBERS: Final[dict[str, tuple[float, float]]] = {
    "page": (1, 5),
    "offset": (0, 50),
    "skip": (0, 50),
    "limit": (1, 50),
    "size": (1, 50),
    "count": (1, 50),
    "quantity": (1, 20),
    "age": (1, 99),
    "year": (1990, 2030),
    "month": (1, 12),
    "day": (1, 28),
    "lat": (-90, 90),
    "latitude": (-90, 90),
    "lon": (-180, 180),
    "lng": (-180, 180),
    "longitude": (-180, 180),
    "rating": (1, 5),
    "percent": (0, 100),
    "port": (1024, 65_535),
}


def typical_range(name: str) -> tuple[float, float] | None:
    """The range that numbers under this name usually have; None when it tells nothing."""
    return _NUMBERS.get(_last_word(name))
