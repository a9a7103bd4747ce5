"""Content negotiation (RFC 9110 §12): what the client takes, what it sends, what is offered.

Pure decisions: 405, 406 and 415 come out of here as values, for the native services and for
everything else that answers by method and media type.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from chapiteau.service.protocol.headers import media_type

__all__ = [
    "MediaRange",
    "Refusal",
    "View",
    "acceptable_media",
    "best_coding",
    "choose_media",
    "matches_content_type",
    "parse_accept",
    "select_view",
]


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header: `text/*;q=0.5`."""

    kind: str
    sub: str
    quality: float

    def fit(self, media: str) -> int:
        """0: doesn't fit; 1: `*/*`; 2: `type/*`; 3: the type itself."""
        kind, _, sub = media.partition("/")
        if self.kind == "*":
            return 1
        if self.kind != kind:
            return 0
        if self.sub == "*":
            return 2
        return 3 if self.sub == sub else 0


def parse_accept(header: str) -> list[MediaRange]:
    """The entries of an Accept header; what can't be read is left out, as browsers expect."""
    found = []
    for piece in header.split(","):
        name, *parameters = piece.split(";")
        kind, slash, sub = name.strip().lower().partition("/")
        if not slash:
            if kind != "*":
                continue
            kind, sub = "*", "*"
        found.append(MediaRange(kind, sub, _quality(parameters)))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value.strip())))
            except ValueError:
                return 0.0
    return 1.0


def best_coding(header: str, known: Sequence[str]) -> str:
    """The coding that an Accept-Encoding header likes best (RFC 9110 §12.5.3), or none: "".

    On a tie it is the one known first; plain is liked better only when the client says so.
    """
    liked: dict[str, float] = {}
    for piece in header.split(","):
        name, *parameters = piece.split(";")
        liked.setdefault(name.strip().lower(), _quality(parameters))
    if "x-gzip" in liked:
        liked.setdefault("gzip", liked["x-gzip"])
    rest = liked.get("*", 0.0)
    best = max(known, key=lambda name: liked.get(name, rest), default="")
    quality = liked.get(best, rest)
    return best if quality > 0 and quality >= liked.get("identity", 0.0) else ""


def choose_media(header: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the client likes best; on a tie the one offered first; None: 406.

    No header, an empty one and `*/*` mean: anything.
    """
    if not header or header == "*/*":
        return offers[0] if offers else None
    ranges = parse_accept(header)
    if not ranges:
        return offers[0] if offers else None
    best, liking = None, 0.0
    for offer in offers:
        quality = _liking(ranges, media_type(offer))
        if quality > liking:
            best, liking = offer, quality
    return best


def _liking(ranges: list[MediaRange], media: str) -> float:
    """The quality of the most special range that fits (RFC 9110 §12.5.1)."""
    closest, quality = 0, 0.0
    for entry in ranges:
        fit = entry.fit(media)
        if fit > closest or (fit == closest and fit and entry.quality > quality):
            closest, quality = fit, entry.quality
    return quality


def acceptable_media(header: str | None, offers: Sequence[str]) -> list[str]:
    """Every offer that the client takes, the best liked first."""
    if not header:
        return list(offers)
    ranges = parse_accept(header)
    liked = [(_liking(ranges, media_type(offer)), offer) for offer in offers]
    return [offer for quality, offer in sorted(liked, key=lambda p: -p[0]) if quality > 0]


def matches_content_type(content_type: str | None, known: Iterable[str]) -> bool:
    """Whether a request's media type is one of those known; `application/*+json` counts as JSON.

    A request that names no type at all passes: there may be no body.
    """
    media = media_type(content_type or "")
    if not media:
        return True
    kinds = set(known)
    if media in kinds:
        return True
    suffix = media.rpartition("+")[2] if "+" in media else ""
    return bool(suffix) and f"application/{suffix}" in kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one of several views of a path takes and gives; an empty tuple means: anything."""

    method: str
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """No view fits: the status, and what would have."""

    status: Literal[405, 406, 415]
    offers: tuple[str, ...]


def select_view(
    views: Sequence[View], method: str, accept: str | None, content_type: str | None
) -> int | Refusal:
    """The number of the view that answers, or why none does.

    Method first (405), then what is sent (415), then what is wanted (406); among several the one
    whose answer the client likes best, then the one declared first.
    """
    of_method = [i for i, view in enumerate(views) if view.method == method]
    if not of_method:
        return Refusal(405, tuple(sorted({view.method for view in views})))
    readable = [
        i
        for i in of_method
        if not views[i].consumes or matches_content_type(content_type, views[i].consumes)
    ]
    if not readable:
        return Refusal(415, _all(views[i].consumes for i in of_method))
    wanted: list[tuple[float, int]] = []
    ranges = parse_accept(accept) if accept else []
    for i in readable:
        offers = views[i].produces
        liking = max((_liking(ranges, media_type(o)) for o in offers), default=1.0) if ranges else 1
        if liking > 0:
            wanted.append((-float(liking), i))
    if not wanted:
        return Refusal(406, _all(views[i].produces for i in readable))
    return min(wanted)[1]


def _all(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(offer for group in groups for offer in group))
