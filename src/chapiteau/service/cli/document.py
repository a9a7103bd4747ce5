"""`service routes`, `service openapi`, `service check`: what an application publishes."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from chapiteau.core.errors import GateFailedError, NotFoundError, UnreachableError, UsageError
from chapiteau.core.exit_codes import exit_codes_of
from chapiteau.core.text import format_table
from chapiteau.io.console import print_json
from chapiteau.service.openapi.diff import compare
from chapiteau.service.openapi.formats import downgrade, to_yaml
from chapiteau.service.openapi.lint import lint

__all__ = ["check", "client", "diff", "document_of", "openapi", "routes"]

_PATIENCE: Final = 30.0  # seconds for each read from a service
_LARGEST: Final = 64 << 20


def document_of(target: str, *, version: str = "", dialect: str = "3.1") -> dict[str, Any]:
    """The document of `module:factory`, of a JSON file, or of an address. Raises ChapiteauError.

    `version` is one of the application's, the default one otherwise.
    """
    path = Path(target)
    distant = target.startswith(("http://", "https://"))
    if distant or path.suffix == ".json" or path.is_file():
        if version:
            raise UsageError(f"{target} is one document", hint="name that of the version")
        made = _decoded(target, _fetched(target) if distant else _read(path))
        return made if dialect == "3.1" else downgrade(made)
    from chapiteau.service.application import application_of
    from chapiteau.service.server.load_app import load_app

    app = load_app(target)
    registry = getattr(app, "registry", None)
    try:
        application = application_of(registry)
    except (KeyError, TypeError):
        raise UsageError(
            f"{target} is no application of chapiteau.service",
            hint='does it say config.include("chapiteau.service")?',
        ) from None
    documents = application.documents
    if version and version not in documents:
        known = ", ".join(filter(None, documents)) or "none"
        raise UsageError(f"{target} has no version {version!r}", hint=f"it has: {known}")
    document = documents[version] if version else application.document
    return document.build("3.0" if dialect == "3.0" else "3.1")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise NotFoundError(f"{path}: {exc.strerror}") from None


def _fetched(url: str) -> bytes:
    """What a service answers. Raises UsageError, UnreachableError."""
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 — http and https only
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
            data: bytes = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as exc:
        raise UsageError(
            f"{url}: {exc.code} {exc.reason}", hint="is that the path of the document?"
        ) from None
    except (OSError, ValueError, HTTPException) as exc:
        why = getattr(exc, "reason", exc)
        raise UnreachableError(f"{url} can't be read: {why}", hint="is it running?") from None
    if len(data) > _LARGEST:
        raise UsageError(f"{url} is larger than 64 MiB: no document")
    return data


def _decoded(where: str, data: bytes) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise UsageError(f"{where}: not a JSON document: {exc}") from None


_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@click.command()
@click.argument("app", metavar="MODULE:FACTORY|FILE.json|URL")
@click.option("--api-version", default="", help="A version of the API; the default one otherwise.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def routes(app: str, api_version: str, as_json: bool) -> None:
    """List every operation: method, path, id, summary."""
    rows = [
        {
            "method": method.upper(),
            "path": path,
            "id": operation.get("operationId", ""),
            "summary": operation.get("summary", ""),
        }
        for path, item in document_of(app, version=api_version)["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]
    if as_json:
        print_json(rows)
        return
    click.echo(format_table([tuple(r.values()) for r in rows], ("METHOD", "PATH", "ID", "SUMMARY")))


@click.command()
@click.argument("app", metavar="MODULE:FACTORY|FILE.json|URL")
@click.option(
    "--format", "form", type=click.Choice(["json", "yaml"]), default="json", show_default=True
)
@click.option(
    "--openapi",
    "dialect",
    type=click.Choice(["3.1", "3.0"]),
    default="3.1",
    show_default=True,
    help="3.0 for readers that have stopped there.",
)
@click.option("--api-version", default="", help="A version of the API; the default one otherwise.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write this file.")
def openapi(app: str, form: str, dialect: str, api_version: str, output: Path | None) -> None:
    """Write the OpenAPI document. The same application always gives the same bytes."""
    import msgspec

    document = document_of(app, version=api_version, dialect=dialect)
    if form == "yaml":
        data = to_yaml(document).encode()
    else:
        data = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    from chapiteau.io.files import write_atomic

    write_atomic(output, data)


@click.command(epilog=exit_codes_of("service check"))
@click.argument("app", metavar="MODULE:FACTORY|FILE.json|URL")
@click.option("--against", type=click.Path(), help="An older document: ids must not have changed.")
@click.option("--api-version", default="", help="A version of the API; the default one otherwise.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def check(app: str, against: str | None, api_version: str, as_json: bool) -> None:
    """Find gaps in the OpenAPI document: descriptions, answers, stable ids."""
    found = lint(document_of(app, version=api_version), document_of(against) if against else None)
    if as_json:
        print_json([problem.to_dict() for problem in found])
    else:
        for problem in found:
            click.echo(str(problem))
    if found:
        count = len(found)
        raise GateFailedError(f"{app}: {count} problem{'' if count == 1 else 's'} in the document")
    if not as_json:
        click.echo(f"{app}: nothing is missing in the document")


# `service diff OLD NEW`: which changes break clients.


@click.command(epilog=exit_codes_of("service diff"))
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def diff(old: str, new: str, as_json: bool) -> None:
    """Compare two documents (JSON files, addresses or MODULE:FACTORY).

    \b
    chapiteau service diff https://shop.example/openapi.json shop:make
    """
    changes = compare(document_of(old), document_of(new))
    if as_json:
        print_json([change.to_dict() for change in changes])
    else:
        for change in changes:
            click.echo(str(change))
    breaking = sum(change.breaking for change in changes)
    if breaking:
        raise GateFailedError(
            f"{breaking} breaking change{'' if breaking == 1 else 's'}",
            hint="keep the old operation beside the new one, or publish a new version",
        )
    if not changes and not as_json:
        click.echo("no change")


# `service client` wrote clients of our own; other programs do it now. For one version it says so.


@click.command(
    deprecated=True, context_settings={"ignore_unknown_options": True}, add_help_option=False
)
@click.argument("_words", nargs=-1, type=click.UNPROCESSED)
def client(_words: tuple[str, ...]) -> None:
    """Removed: openapi-python-client and openapi-typescript write clients from the document."""
    raise UsageError(
        "`chapiteau service client` was removed",
        hint="chapiteau service openapi MODULE:FACTORY -o openapi.json, then:"
        " uvx openapi-python-client generate --path openapi.json"
        " or: npx openapi-typescript openapi.json -o api.d.ts",
    )
