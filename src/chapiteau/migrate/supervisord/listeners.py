"""[eventlistener:x]: those of superlance that have an equal become shipped plugins.

Their options: https://superlance.readthedocs.io
"""

import getopt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import integer, seconds, size_text, words

__all__ = ["convert_listener"]

# Programs of supervisord, and the services that each of them became.
Made = Mapping[str, Sequence[str]]
Given = list[tuple[str, str]]
_FOREIGN: Final = (
    "was it there to end supervisord when a program fails: essential = true. Else write it as a "
    "plugin (docs/how-to/plugins.md), or as a program that reads `chapiteau events -f --json`"
)
_PYTHON: Final = re.compile(r"python[\d.]*")
_TICK: Final = re.compile(r"TICK_(5|60|3600)\b")


@dataclass(frozen=True, slots=True)
class _Listener:
    """A listener, the command line of its program, and where services are looked up."""

    draft: Draft
    section: Section
    command: Option
    program: str
    arguments: list[str]
    made: Made

    def services(self, name: str) -> list[str]:
        """`program` or `group:process`. Raises ValueError."""
        group, _, process = name.rpartition(":")
        found = self.made.get(name) or self.made.get(process) or self.made.get(group) or ()
        if not found:
            raise ValueError(f"there is no program {name!r}")
        return list(found)

    def plugin(self, use: str, options: Mapping[str, object]) -> None:
        target = self.draft.fresh("plugin", self.section.named(self.section.label))
        target.set("use", use, self.command)
        target.set("options", dict(options))

    def lose_mail(self, options: Given) -> None:
        if mail := dict(options).get("-m"):
            what = f"mail to {mail} is not sent any more"
            hint = '[plugin.NAME] use = "alerts" passes plugin.message on by mail'
            self.draft.project.lost(self.command, what, hint)


def convert_listener(draft: Draft, section: Section, made: Made) -> None:
    """One listener: a plugin of ours, or lost."""
    command, top = section.get("command"), draft.project
    program, arguments = _program(command)
    if program.replace("-", "_") == "supervisor_stdout":
        # It brings the output of programs to supervisord's own: so it is here.
        for option in section.options:
            top.kept(option, "`chapiteau up` in the foreground prints every line, with its process")
        return
    if program not in _KNOWN or command is None:
        for option in section.options:
            what = "belongs to a listener that speaks supervisord's event protocol"
            top.lost(option, what, _FOREIGN)
        return
    for option in section.without("command"):
        top.kept(option, "the plugin in its place sees every event")
    with top.reading(command):
        parsed = words(str(command.value))
        listener = _Listener(draft, section, command, program, parsed[len(arguments) :], made)
        _KNOWN[program](listener)


def _program(command: Option | None) -> tuple[str, list[str]]:
    """A listener's program, or the script where Python runs one; and the words up to it."""
    parts = str(command.value).split() if command else []
    at = 0
    if parts and _PYTHON.fullmatch(parts[0].rpartition("/")[2]):
        at = next((n for n, part in enumerate(parts) if n and not part.startswith("-")), 0)
    name = parts[at].rpartition("/")[2].removesuffix(".py") if parts else ""
    return name, parts[: at + 1]


def _options(
    arguments: Sequence[str], short: str, longs: Sequence[str] = ()
) -> tuple[Given, list[str]]:
    try:
        return getopt.gnu_getopt(list(arguments), short, list(longs))
    except getopt.GetoptError as exc:
        raise ValueError(str(exc)) from None


# ── memmon and httpok ─────────────────────────────────────────────────────────────────────────
def _memmon(listener: _Listener) -> None:
    options, _ = _options(listener.arguments, "hcp:g:a:s:m:n:u:")
    bounds: list[tuple[str | int, list[str]]] = []
    for flag, value in options:
        if flag in ("-p", "-g"):
            name, _, size = value.partition("=")
            bounds.append((size_text(size), listener.services(name)))
        elif flag == "-a":
            bounds.append((size_text(value), ["*"]))
    if not bounds:
        raise ValueError("memmon has no bound")
    for most, services in bounds:
        bound = {"services": services, "max_memory": most, "window": "1s", "action": "restart"}
        listener.plugin("resources", bound)
    what = 'became use = "resources": memory is checked every second'
    listener.draft.project.changed(listener.command, what)
    listener.lose_mail(options)


def _httpok(listener: _Listener) -> None:
    options, rest = _options(listener.arguments, "hp:at:c:b:m:s:eEd:g:n:i:")
    given = dict(options)
    if not rest:
        raise ValueError("httpok has no URL")
    tick = _TICK.search(listener.section.value("events"))
    facts: dict[str, object] = {
        "url": rest[0],
        "timeout": seconds(given.get("-t", "10")),
        "interval": seconds(tick[1]) if tick else "60s",
        "failures": 1,
        "status": [integer(code) for code in given.get("-c", "200").split(",")],
    }
    if "-b" in given:
        facts["contains"] = given["-b"]
    programs = [value for flag, value in options if flag in ("-p", "-g")]
    services = [name for program in programs for name in listener.services(program)]
    if "-a" in given:
        services = [name for names in listener.made.values() for name in names]
    for service in services:
        listener.plugin("http", {**facts, "service": service, "action": "restart"})
    if not services:
        listener.plugin("http", facts)
    what = 'became use = "http": a failure is an event too, plugin.message'
    listener.draft.project.changed(listener.command, what)
    listener.lose_mail(options)


# ── those that send mail ──────────────────────────────────────────────────────────────────────
_LONG: Final = {
    "--program": "-p", "--any": "-a", "--optionalheader": "-o", "--sendmail_program": "-s",
    "--email": "-m", "--toEmail": "-t", "--fromEmail": "-f", "--subject": "-s",
    "--smtpHost": "-H", "--userName": "-u", "--password": "-p",
}  # fmt: skip


def _crashmail(listener: _Listener) -> None:
    longs = ["help", "program=", "any", "optionalheader=", "sendmail_program=", "email="]
    options = _by_letter(listener, "hp:ao:s:m:", longs)
    given = dict(options)
    programs = [value for flag, value in options if flag == "-p" and "-a" not in given]
    if "-a" not in given and not programs:
        raise ValueError("crashmail is to watch nothing: -a or -p NAME")
    sendmail, _ = _options(words(given.get("-s", "sendmail"))[1:], "tif:F:")
    sender = dict(sendmail).get("-f")
    smtp = {"sender": literal(sender)} if sender else {}
    services = [name for one in programs for name in listener.services(one)]
    _alerts(listener, given.get("-m", ""), services, smtp, given.get("-o", ""))


def _batch(listener: _Listener) -> None:
    names = "toEmail fromEmail subject smtpHost userName password interval tickEvent"
    longs = [*(f"{name}=" for name in names.split()), "tls"]
    given = dict(_by_letter(listener, "i:t:f:s:H:e:u:p:m:", longs))
    host, _, port = given.get("-H", "").partition(":")
    smtp: dict[str, object] = {"host": literal(host)} if host else {}
    if port:
        smtp["port"] = integer(port)
    if "--tls" in given:
        smtp["security"] = "starttls"
    if "-f" in given:
        smtp["sender"] = literal(given["-f"])
    _alerts(listener, given.get("-t", given.get("-m", "")), [], smtp, given.get("-s", ""))
    if given.get("-u") or given.get("-p"):
        hint = 'options.smtp: user = "…", password = { file = "secrets/mail" }'
        what = "logged in at the mail server: secrets stand in files here"
        listener.draft.project.lost(listener.command, what, hint)


def _by_letter(listener: _Listener, short: str, longs: Sequence[str]) -> Given:
    options, _ = _options(listener.arguments, short, longs)
    return [(_LONG.get(flag, flag), value) for flag, value in options]


def _alerts(
    listener: _Listener, to: str, services: list[str], smtp: Mapping[str, object], subject: str
) -> None:
    addresses = [literal(part.strip()) for part in to.split(",") if part.strip()]
    if not addresses:
        raise ValueError("it names no address, so it mails nobody")
    kind = "service.failed" if listener.program == "fatalmailbatch" else "process.exited"
    mail: dict[str, object] = {"mail": addresses, "kinds": [kind], "resolved": False}
    if services:
        mail["services"] = services
    listener.plugin("alerts", {"to": {"mail": mail}} | ({"smtp": smtp} if smtp else {}))
    top: Target = listener.draft.project
    top.changed(
        listener.command,
        'became use = "alerts": the same problem is reported again only after an hour, and mail '
        "goes to an SMTP server",
        "see options.repeat and options.smtp",
    )
    if subject:
        what = f"the subject begins with the project, not with {subject!r}"
        top.changed(listener.command, what)


_KNOWN: Final[dict[str, Callable[[_Listener], None]]] = {
    "memmon": _memmon,
    "httpok": _httpok,
    "crashmail": _crashmail,
    "crashmailbatch": _batch,
    "crashsms": _batch,
    "fatalmailbatch": _batch,
}
