"""`python -m chapiteau` is the same as the command `chapiteau`."""

from chapiteau.cli.main import run

__all__: list[str] = []

if __name__ == "__main__":
    run()
