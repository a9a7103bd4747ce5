"""What load processes are told before a test: where requests come from, and how they are sent."""

from typing import Final

import msgspec

from chapiteau.core.secret import Secret
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.inputs.openapi import Credentials, Selection
from chapiteau.load.inputs.reader import Format, InputOptions

__all__ = [
    "CommandSource",
    "DocumentOptions",
    "DocumentSource",
    "FileSource",
    "Plan",
    "Source",
    "UrlSource",
]

_NO_CONNECTION_SETTINGS: Final = ConnectionSettings()


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    """One URL, to be got again and again."""

    url: str


class FileSource(msgspec.Struct, frozen=True, tag="file"):
    """A scenario file."""

    path: str


class CommandSource(msgspec.Struct, frozen=True, tag="command"):
    """A load generator of the user's own."""

    command: tuple[str, ...]


class DocumentOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a load test that concern its document."""

    only_safe: bool = False
    methods: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    deprecated: bool = False
    bearer: str = ""
    basic: str = ""
    api_keys: dict[str, str] = {}
    variables: dict[str, str] = {}
    pauses: bool = True
    replay: float = 0.0
    base: str = ""

    def __repr__(self) -> str:
        return "<DocumentOptions>"  # tokens and passwords belong in no log

    def input_options(self) -> InputOptions:
        """As the readers of documents take them."""
        user, _, password = self.basic.partition(":")
        return InputOptions(
            selection=Selection(
                only_safe=self.only_safe,
                methods=self.methods,
                include=self.include,
                exclude=self.exclude,
                deprecated=self.deprecated,
            ),
            credentials=Credentials(
                bearer=Secret(self.bearer) if self.bearer else None,
                user=user,
                password=Secret(password) if password else None,
                keys={name: Secret(value) for name, value in self.api_keys.items()},
            ),
            variables=self.variables,
            pauses=self.pauses,
            base=self.base,
        )


class DocumentSource(msgspec.Struct, frozen=True, kw_only=True, tag="document"):
    """A document that requests are made from. `files`: names that it uses → where those are."""

    kind: Format
    text: str
    name: str = ""
    url: str = ""  # where it was fetched from
    folder: str = "."
    options: DocumentOptions = DocumentOptions()
    files: dict[str, str] = {}

    @property
    def is_replay(self) -> bool:
        """Whether requests go out at an access log's own moments."""
        return self.kind == "accesslog" and self.options.replay > 0


Source = UrlSource | FileSource | CommandSource | DocumentSource


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything but the load itself; the same for every process."""

    source: Source
    base: str = ""
    scenarios: tuple[str, ...] = ()
    seed: str = "1"
    tick: float = 0.0  # seconds that arrivals are rounded up to
    pace: float = 0.0  # seconds between the beginnings of a user's sessions
    most_users: int = 10_000
    timeout: float = 30.0
    headers: dict[str, str] = {}
    allow: tuple[str, ...] = ()
    options: dict[str, str] = {}
    asked: dict[str, int | float | None] = {}  # users, seconds and sessions of the whole test
    connection: ConnectionSettings = _NO_CONNECTION_SETTINGS
    divert: str = ""  # URL of a server that gets every request instead

    def __repr__(self) -> str:
        return f"<Plan of {type(self.source).__name__}>"  # headers may hold secrets
