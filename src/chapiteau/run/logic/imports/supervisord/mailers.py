"""superlance's listeners that send mail: crashmail, crashmailbatch, fatalmailbatch, crashsms."""

import getopt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.run.logic.imports.draft import Target, literal
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import integer, words

__all__ = ["MAILERS", "Mailer", "read_mailer"]

# What each of them mails about.
MAILERS: Final = {
    "crashmail": "process.exited",
    "crashmailbatch": "process.exited",
    "crashsms": "process.exited",
    "fatalmailbatch": "service.failed",
}
_LONG: Final = {
    "toEmail": "-t", "fromEmail": "-f", "subject": "-s", "smtpHost": "-H", "userName": "-u",
    "password": "-p", "interval": "-i", "tickEvent": "-e",
}  # fmt: skip
_LOGIN: Final = ("-u", "-p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """The command line of such a listener. `programs` is empty for all of them."""

    to: tuple[str, ...]
    programs: tuple[str, ...] = ()
    smtp: dict[str, Any]
    subject: str = ""
    login: bool = False

    def tell(self, command: Option, top: Target, use: str) -> None:
        """What is different in the plugin that takes its place."""
        top.changed(
            command,
            f'became use = "{use}": the same trouble is told again only after an hour, and mail '
            "goes to an SMTP server",
            "options.repeat says how often, options.smtp where the server is",
        )
        if self.subject:
            top.changed(command, f"the subject begins with the project, not with {self.subject!r}")
        if self.login:
            hint = 'options.smtp: user = "…", password = { file = "secrets/mail" }'
            top.lost(command, "logged in at the mail server: secrets stand in files here", hint)


def read_mailer(program: str, arguments: Sequence[str]) -> Mailer:
    """Raises ValueError for a command line that the program itself would refuse."""
    return _crashmail(arguments) if program == "crashmail" else _batch(arguments)


def _crashmail(arguments: Sequence[str]) -> Mailer:
    longs = ["help", "program=", "any", "optionalheader=", "sendmail_program=", "email="]
    short = {"--program": "-p", "--any": "-a", "--optionalheader": "-o",
             "--sendmail_program": "-s", "--email": "-m"}  # fmt: skip
    found = [(short.get(f, f), v) for f, v in _options(arguments, "hp:ao:s:m:", longs)]
    given = dict(found)
    programs = () if "-a" in given else tuple(value for flag, value in found if flag == "-p")
    if "-a" not in given and not programs:
        raise ValueError("crashmail is to watch nothing: -a or -p NAME")
    sender = dict(_options(words(given.get("-s", "sendmail"))[1:], "tif:F:", []))
    return Mailer(
        to=_addresses(given.get("-m", "")),
        programs=programs,
        smtp={"sender": literal(sender["-f"])} if "-f" in sender else {},
        subject=given.get("-o", ""),
    )


def _batch(arguments: Sequence[str]) -> Mailer:
    longs = [f"{name}=" for name in _LONG] + ["tls"]
    found = _options(arguments, "i:t:f:s:H:e:u:p:m:", longs)
    given = {_LONG.get(flag[2:], flag): value for flag, value in found}
    host, _, port = given.get("-H", "").partition(":")
    smtp: dict[str, Any] = {"host": literal(host)} if host else {}
    if port:
        smtp["port"] = integer(port)
    if "--tls" in given:
        smtp["security"] = "starttls"
    if "-f" in given:
        smtp["sender"] = literal(given["-f"])
    return Mailer(
        to=_addresses(given.get("-t", given.get("-m", ""))),
        smtp=smtp,
        subject=given.get("-s", ""),
        login=any(given.get(flag) for flag in _LOGIN),
    )


def _options(arguments: Sequence[str], short: str, longs: list[str]) -> list[tuple[str, str]]:
    try:
        return getopt.gnu_getopt(list(arguments), short, longs)[0]
    except getopt.GetoptError as exc:
        raise ValueError(str(exc)) from None


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(literal(part.strip()) for part in text.split(",") if part.strip())
    if not found:
        raise ValueError("it names no address, so it mails nobody")
    return found
