"""Record the facts: `python -m tests.cornice.record cornice cornice_swagger > FILE`.

Run it in an environment with Cornice 6.1; the tests compare `chapiteau.cornice` with what it wrote.
"""

import json
import sys

from tests.cornice.cases import load
from tests.cornice.probe import CASES, run

__all__ = ["main"]


def main(cornice: str, swagger: str) -> None:
    """Print the facts of every case as JSON."""
    load()
    facts = {}
    for name in CASES:
        try:
            facts[name] = run(name, cornice, swagger)
        except Exception as exc:
            raise SystemExit(f"{name}: {type(exc).__name__}: {exc}") from exc
    cases = (
        f"{json.dumps(name)}: [\n"
        + ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
        + "\n]"
        for name, rows in sorted(facts.items())
    )
    sys.stdout.write("{\n" + ",\n".join(cases) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
