"""[watcher:NAME] with its environment, its sockets and its place in the start order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from chapiteau.core.problems import did_you_mean
from chapiteau.migrate.circus.rules import COMBINED, WATCHER
from chapiteau.migrate.circus.streams import convert_streams
from chapiteau.migrate.draft import Draft, Target, Template, literal
from chapiteau.migrate.finish import ordered
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, integer, octal, one_line

__all__ = ["VARIABLE", "convert_watcher", "env_of", "fill_env", "fill_variables", "order_watchers"]


# `$(circus.env.NAME)`, which Circus fills in wherever a section's option has a text.

VARIABLE: Final = re.compile(r"\$\(circus\.([\w.\-]+)\)|\(\(circus\.([\w.\-]+)\)\)", re.IGNORECASE)


def fill_variables(sections: list[Section]) -> list[Section]:
    """The sections with every `$(circus.env.NAME)` filled in, but for [env] and [env:…] themselves.

    As in Circus the value becomes a part of the text: in a command it may be several words.
    """
    return [section if _is_env(section) else _filled(section, sections) for section in sections]


def _is_env(section: Section) -> bool:
    return section.name == "env" or section.name.startswith("env:")


def _filled(section: Section, sections: list[Section]) -> Section:
    kind, _, name = section.name.partition(":")
    env = {
        option.name: str(option.value).strip()
        for option in env_of(name if kind == "watcher" else None, sections)
    }
    return Section(
        name=section.name,
        where=section.where,
        options=[_option(option, env) for option in section.options],
        repeated=section.repeated,
    )


def _option(option: Option, env: Mapping[str, str]) -> Option:
    value = str(option.value)
    if VARIABLE.search(value) is None:
        return option
    made = Template(fill_env(literal(value), env))
    return Option(name=option.name, value=made, where=option.where, section=option.section)


def env_of(watcher: str | None, sections: list[Section]) -> Iterator[Option]:
    """[env], and the [env:…] that are for the watcher; later ones win."""
    for section in sections:
        if section.name == "env" or (watcher is not None and _is_for(section, watcher)):
            yield from section.options


def _is_for(section: Section, watcher: str) -> bool:
    kind, _, patterns = section.name.partition(":")
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return kind == "env" and any(fnmatchcase(watcher, pattern) for pattern in wanted)


def fill_env(text: str, env: Mapping[str, str]) -> str:
    """The text with variables of `env` as their values, and all others as `${env.NAME}`.

    Names are the same in upper and lower case to Circus; the environment knows one of them.
    """
    known = {name.lower(): value for name, value in env.items()}

    def one(match: re.Match[str]) -> str:
        kind, _, name = (match[1] or match[2]).partition(".")
        if kind.lower() != "env" or not name:
            return match[0]
        value = known.get(name.lower())
        return f"${{env.{_spelled(name)}}}" if value is None else literal(value)

    return VARIABLE.sub(one, text)


def _spelled(name: str) -> str:
    """As the environment has it, most likely: in capitals, but for http_proxy and its kin."""
    return name.upper() if name.islower() and not name.endswith("_proxy") else name


_SHELL_VARIABLE: Final = re.compile(r"\$([A-Z]+[A-Z0-9_]*)")  # what Circus fills in env values
_SHELL_SIGNS: Final = re.compile(r"[|&;<>$`*?~]")


def convert_watcher(draft: Draft, section: Section, sections: list[Section]) -> None:
    """One watcher becomes one service."""
    name = section.name.split("watcher:", 1)[1]
    named = Option(name="name", value=name, where=section.where, section=section.title)
    target = draft.named("service", named)
    _environment(target, section, name, sections)
    _command(target, section, sections)
    simple = [o for o in section.options if o.name not in COMBINED and not _is_stream(o)]
    for option in [o for o in simple if o.value == "" and not o.name.startswith("rlimit_")]:
        simple.remove(option)
        target.kept(option, "is empty: the default holds")
    apply_rules([o for o in simple if not o.name.startswith("flapping.")], WATCHER, target)
    convert_streams(target, [o for o in section.options if _is_stream(o)])
    _closed_outputs(target, section)
    _defaults(target, sections)


def _is_stream(option: Option) -> bool:
    return option.name.startswith(("stdout_stream", "stderr_stream"))


def _defaults(target: Target, sections: list[Section]) -> None:
    """Circus's defaults that are not ours."""
    if target.get("stop_timeout") is None:
        target.set("stop_timeout", "30s")
    if target.get("max_age") and target.get("max_age_spread") is None:
        target.set("max_age_spread", "30s")
    if not target.get("max_age"):
        target.values.pop("max_age_spread", None)
    daemon = next((s for s in sections if s.name == "circus"), None)
    umask = daemon.get("umask") if daemon else None
    if umask and umask.value:
        try:
            target.set("umask", octal(umask.value), umask)
        except ValueError as exc:
            target.lost(umask, str(exc), "set umask by hand")


# ── environment ───────────────────────────────────────────────────────────────────────────────
def _environment(target: Target, section: Section, name: str, sections: list[Section]) -> None:
    copied = section.get("copy_env")
    if copied and _on(target, copied):
        target.kept(copied, "the environment is inherited")
    else:
        target.set("clean_env", True, copied)
        if copied:
            target.kept(copied, "clean_env in [" + ".".join(target.path) + "]")
    for option in env_of(name, sections):
        value = literal(str(option.value).strip())
        filled = fill_env(_SHELL_VARIABLE.sub(r"${env.\1}", value), {})
        target.set_env(option.name, filled, option)
        target.kept(option, "env of the services that it is for")
        if "$(circus." in value.lower():
            target.changed(
                option,
                "Circus fills in $NAME alone here and leaves $(circus.env.NAME) as it stands; "
                "it is filled in now",
            )


def _on(target: Target, option: Option) -> bool:
    try:
        return boolean(option.value)
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "write true or false")
        return False


# ── command ───────────────────────────────────────────────────────────────────────────────────
def _command(target: Target, section: Section, sections: list[Section]) -> None:
    cmd, args, shell = section.get("cmd"), section.get("args"), section.get("shell")
    if cmd is None:
        if args:
            target.lost(args, "are arguments of no command", "set command by hand")
        return
    # Parts in which variables are filled in already stay as they are.
    whole = Template(" ".join(literal(part.value) for part in (cmd, args) if part and part.value))
    known = _names(sections)
    wanted = [name for name in _used_sockets(whole) if name in known]
    try:
        text = one_line(_fill(target, section, cmd, whole, known))
    except ValueError as exc:
        target.lost(cmd, str(exc), "close the quote, then import again")
        return
    target.put(cmd, "command", text)
    if args:
        target.kept(args, "the end of command")
    _sockets(target, section, wanted, sections)
    if shell and _on(target, shell):
        _shell(target, shell, text)
    elif shell:
        target.kept(shell, "no shell is used")


def _shell(target: Target, shell: Option, text: str) -> None:
    """Circus quotes each word before its shell sees it, so the shell never did anything."""
    target.changed(
        shell,
        "is left out: Circus quotes every word for the shell, so that nothing is ever expanded"
        + (", and the signs in this command were plain text" if _SHELL_SIGNS.search(text) else ""),
        "set shell = true to have pipes, redirections and variables work",
    )


def _fill(
    target: Target, section: Section, option: Option, text: str, sockets: Sequence[str]
) -> str:
    """Circus's variables as ours; what can't be known stays as it is and is reported."""

    def one(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).lower()
        kind, _, rest = name.partition(".")
        if kind == "sockets" and rest in sockets:
            return f"${{socket.{rest}.fd}}"
        if name == "wid":
            return "${process.number}"
        known = section.get(name)
        if known is not None:
            return literal(known.value)
        near = f"{did_you_mean(rest, sockets)}; " if kind == "sockets" else ""
        target.lost(
            option,
            f"{match[0]} has no value here, and stays as it is in the command",
            f"{near}put the value into the command by hand",
        )
        return match[0]

    filled = VARIABLE.sub(one, text)
    if "$WID" in filled:
        filled = filled.replace("$WID", "${process.number}")
    return filled


def _names(sections: list[Section]) -> list[str]:
    return [s.name.split(":", 1)[1].lower() for s in sections if s.name.startswith("socket:")]


def _used_sockets(text: str) -> list[str]:
    names = [(m[1] or m[2]).lower() for m in VARIABLE.finditer(text)]
    return [n.partition(".")[2] for n in names if n.startswith("sockets.")]


def _sockets(target: Target, section: Section, wanted: list[str], sections: list[Section]) -> None:
    option = section.get("use_sockets")
    known = _names(sections)
    use = option is not None and _on(target, option)
    if option and not use:
        target.kept(option, "no sockets are handed over")
    names = list(dict.fromkeys(wanted))
    if wanted and not use:
        target.changed(
            section.get("cmd") or section.options[0],
            "names sockets without use_sockets, so the descriptors were closed: they are open now",
        )
    if use and option:
        if not names and not section.get("stdin_socket"):
            names = known
        what = "sockets: those that the command names" if wanted else "sockets"
        target.kept(option, what)
    if names:
        target.set("sockets", names, option or section.get("cmd"))


def _closed_outputs(target: Target, section: Section) -> None:
    closed = [section.get(name) for name in ("close_child_stdout", "close_child_stderr")]
    found = [option for option in closed if option is not None]
    on = [option for option in found if _on(target, option)]
    for option in found:
        if option not in on:
            target.kept(option, "output is captured")
        elif len(on) == 2:
            target.put(option, "log.file", "none")
        else:
            target.lost(
                option,
                "threw one of the two streams away; both go to one file here",
                "redirect it in the command: shell = true and 2>/dev/null",
            )


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def order_watchers(draft: Draft, watchers: list[Section]) -> None:
    """Higher priority starts first and stops last."""
    ranks: list[tuple[str, float]] = []
    for section in watchers:
        option = section.get("priority")
        name = _service_of(draft, section)
        rank = 0
        if option is not None:
            target = draft.table("service", name)
            try:
                rank = integer(option.value)
            except ValueError as exc:
                target.lost(option, f"its value can't be used: {exc}", "set `after` by hand")
        ranks.append((name, -float(rank)))
    ordered(draft, ranks)
    different = len({rank for _, rank in ranks}) > 1
    for section in watchers:
        if option := section.get("priority"):
            target = draft.table("service", _service_of(draft, section))
            if different:
                target.changed(
                    option,
                    "became `after`: services of a lower priority start after those of the next "
                    "higher one, and stop before them",
                    "where one must be ready before the other starts, write needs = [...]",
                )
            else:
                target.kept(option, "all priorities are equal: no order")


def _service_of(draft: Draft, section: Section) -> str:
    wanted = section.name.split("watcher:", 1)[1]
    return next(
        path[1]
        for path, origin in draft.origins.items()
        if len(path) == 2 and path[0] == "service" and origin.value == wanted
    )
