"""Never run, only type-checked: the public face as users write it."""

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.histogram import Histogram
from chapiteau.core.secret import Secret
from chapiteau.core.units import parse_duration


def values() -> float:
    """Ground floor values keep their types."""
    latency = Histogram.of([1000, 2000])
    secret: str = Secret("x").reveal()
    try:
        seconds: float = parse_duration("1m30s")
    except ChapiteauError as exc:
        return float(exc.exit_code + len(secret))
    return latency.quantile(0.99) + seconds
