"""[eventlistener:x]: those of superlance that have an equal become shipped plugins.

Their options: https://superlance.readthedocs.io (memmon, httpok; mailers.py has the others).
"""

import getopt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import try_rule
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import integer, seconds, size_text, words

__all__ = ["MAILERS", "Mailer", "convert_listener", "read_mailer"]


# superlance's listeners that send mail: crashmail, crashmailbatch, fatalmailbatch, crashsms.

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


# Programs of supervisord, and the services that each of them became.
Made = Mapping[str, Sequence[str]]
_OWN: Final = (
    "was it there to end supervisord when a program fails: essential = true. Else write it as a "
    "plugin (docs/how-to/plugins.md), or as a program that reads `chapiteau events -f --json`"
)
_RELAYS: Final = frozenset({"supervisor_stdout", "supervisor-stdout"})
_PYTHON: Final = re.compile(r"python[\d.]*")
_TICK: Final = re.compile(r"TICK_(5|60|3600)\b")


def convert_listener(draft: Draft, section: Section, made: Made) -> None:
    """One listener: a plugin of ours, or lost."""
    command = section.get("command")
    top = draft.table("project")
    program = _program(command)
    if program in _RELAYS:
        _shown(top, section)
        return
    take = _KNOWN.get(program) or (partial(_mailer, program) if program in MAILERS else None)
    if take is None or command is None:
        for option in section.options:
            top.lost(option, "belongs to a listener that speaks supervisord's event protocol", _OWN)
        return
    for option in section.options:
        if option is not command:
            top.kept(option, "the plugin in its place hears of everything")
    try_rule(command, top, partial(take, draft, section, command, made))


def _shown(top: Target, section: Section) -> None:
    """supervisor-stdout brings the output of programs to supervisord's own: so it is here."""
    for option in section.options:
        top.kept(option, "`chapiteau up` in front shows every line, with the process before it")


def _program(command: Option | None) -> str:
    """The name of a listener's program, of the script where Python runs one."""
    parts = str(command.value).split() if command else []
    names = [part.rpartition("/")[2] for part in parts]
    if names and _PYTHON.fullmatch(names[0]):
        names = [n for n, part in zip(names, parts, strict=True) if not part.startswith("-")][1:]
    return names[0].removesuffix(".py") if names else ""


def _arguments(command: Option) -> list[str]:
    """What stands after the program's name."""
    parts = words(str(command.value))
    names = [part.rpartition("/")[2].removesuffix(".py") for part in parts]
    return parts[names.index(_program(command)) + 1 :]


def _given(command: Option, short: str) -> tuple[list[tuple[str, str]], list[str]]:
    try:
        return getopt.getopt(_arguments(command), short)
    except getopt.GetoptError as exc:
        raise ValueError(str(exc)) from None


def _services(name: str, made: Made) -> list[str]:
    """`program` or `group:process`. Raises ValueError."""
    group, _, process = name.rpartition(":")
    found = made.get(name) or made.get(process) or made.get(group) or ()
    if not found:
        raise ValueError(f"there is no program {name!r}")
    return list(found)


def _plugin(draft: Draft, section: Section, command: Option, use: str) -> Target:
    name = section.name.partition(":")[2]
    named = Option(name="name", value=name, where=section.where, section=section.title)
    taken = draft.tables.get("plugin", {})
    target = draft.table("plugin", draft.fresh_name("plugin", name))
    if not taken or name not in taken:
        draft.origins[target.path] = named
    target.set("use", use, command)
    return target


def _memmon(draft: Draft, section: Section, command: Option, made: Made) -> None:
    options, _ = _given(command, "hcp:g:a:s:m:n:u:")
    bounds: list[tuple[str | int, list[str]]] = []
    for flag, value in options:
        if flag in ("-p", "-g"):
            name, _, size = value.partition("=")
            bounds.append((size_text(size), _services(name, made)))
        elif flag == "-a":
            bounds.append((size_text(value), ["*"]))
    if not bounds:
        raise ValueError("memmon has no bound")
    for most, services in bounds:
        target = _plugin(draft, section, command, "resources")
        bound: dict[str, Any] = {
            "services": services,
            "max_memory": most,
            "window": "1s",
            "action": "restart",
        }
        target.set("options", bound)
    top = draft.table("project")
    top.changed(command, 'became use = "resources": memory is looked at every second')
    _mail(top, command, options)


def _httpok(draft: Draft, section: Section, command: Option, made: Made) -> None:
    options, rest = _given(command, "hp:at:c:b:m:s:eEd:g:n:i:")
    given = dict(options)
    url = rest[0] if rest else ""
    if not url:
        raise ValueError("httpok has no URL")
    facts: dict[str, Any] = {
        "url": url,
        "timeout": seconds(given.get("-t", "10")),
        "interval": _interval(section),
    }
    more: dict[str, Any] = {
        "failures": 1,
        "status": [integer(c) for c in given.get("-c", "200").split(",")],
    }
    if "-b" in given:
        more["contains"] = given["-b"]
    programs = [value for flag, value in options if flag in ("-p", "-g")]
    services = [name for program in programs for name in _services(program, made)]
    if "-a" in given:
        services = [name for names in made.values() for name in names]
    for service in services or [""]:
        target = _plugin(draft, section, command, "http")
        action = {"service": service, "action": "restart"} if service else {}
        target.set("options", {**facts, **more, **action})
    top = draft.table("project")
    top.changed(command, 'became use = "http": a failure is an event too, plugin.message')
    _mail(top, command, options)


def _mailer(program: str, draft: Draft, section: Section, command: Option, made: Made) -> None:
    mailer = read_mailer(program, _arguments(command))
    services = [name for one in mailer.programs for name in _services(one, made)]
    target = _plugin(draft, section, command, "alerts")
    told: dict[str, Any] = {"mail": list(mailer.to), "kinds": [MAILERS[program]], "resolved": False}
    if services:
        told["services"] = services
    options: dict[str, Any] = {"to": {"mail": told}}
    if mailer.smtp:
        options["smtp"] = mailer.smtp
    target.set("options", options)
    mailer.tell(command, draft.table("project"), "alerts")


def _interval(section: Section) -> str:
    found = _TICK.search(section.value("events"))
    return seconds(found[1]) if found else "60s"


def _mail(top: Target, command: Option, options: list[tuple[str, str]]) -> None:
    if mail := dict(options).get("-m"):
        what = f"mail to {mail} is not sent any more"
        top.lost(command, what, '[plugin.NAME] use = "alerts" passes plugin.message on by mail')


_KNOWN: Final[dict[str, Callable[[Draft, Section, Option, Made], None]]] = {
    "memmon": _memmon,
    "httpok": _httpok,
}
