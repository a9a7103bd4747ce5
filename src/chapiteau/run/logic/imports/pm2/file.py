"""A whole ecosystem file: its apps, and what they are when JavaScript has been read."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.run.logic.imports.draft import Draft, Target, literal
from chapiteau.run.logic.imports.finish import finish
from chapiteau.run.logic.imports.notes import Imported
from chapiteau.run.logic.imports.pm2.settings import ALIASES, APP, TOGETHER
from chapiteau.run.logic.imports.reading.jsliteral import (
    Chosen,
    Dynamic,
    EnvDefault,
    read_javascript,
)
from chapiteau.run.logic.imports.reading.source import Choices, Option, Source, Tree, unreadable
from chapiteau.run.logic.imports.reading.values import integer, text, words
from chapiteau.run.logic.imports.rules import apply
from chapiteau.run.logic.imports.starts import give_up_after_failed_starts

__all__ = ["import_pm2"]

_ENV_SET: Final = re.compile(r"env_(\S+)")
_OURS: Final = re.compile(r"\$\{env\.\w+(?::-[^${}]+)?\}")
_WITH_DEFAULT: Final = re.compile(r"\$\{env\.(\w+):-([^${}]+)\}")
_NODE_VERSION: Final = re.compile(r"node@.+")
_INTERPRETERS: Final = {
    ".js": "node", ".cjs": "node", ".mjs": "node", ".py": "python", ".sh": "bash", ".rb": "ruby",
    ".php": "php", ".pl": "perl", ".ts": "bun", ".tsx": "bun", ".coffee": "coffee", ".ls": "lsc",
}  # fmt: skip


def import_pm2(sources: Sequence[Source], choices: Choices) -> Imported:
    """One or several ecosystem files. Raises UsageError with the line."""
    draft = Draft()
    for source in sources:
        tree = source.tree or read_javascript(source)
        known = Source(name=source.name, folder=source.folder, tree=tree)
        for path, app in _apps(draft, known, tree):
            _app(draft, known, path, app, choices)
        for line, code in tree.unread:
            option = Option(name=code.split(None, 1)[0][:40], value=code, where=known.where(line))
            what = f"is not run: {' '.join(code.split())[:60]}"
            draft.table("project").lost(option, what, "set by hand what it would have set")
    return finish(draft, f"Made from {', '.join(s.name for s in sources)} (PM2).")


def _apps(
    draft: Draft, source: Source, tree: Tree
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    data = tree.data
    path: tuple[str | int, ...] = ()
    if isinstance(data, Mapping) and ("apps" in data or "pm2" in data):
        key = "apps" if "apps" in data else "pm2"
        _top_level(draft, source, data, key)
        data, path = data[key], (key,)
    apps = data if isinstance(data, list) else [data]
    if not any(isinstance(_taken(app), Mapping) for app in apps):
        raise _no_app(source, path, apps)
    for index, app in enumerate(apps):
        here = (*path, index) if isinstance(data, list) else path
        if isinstance(one := _taken(app), Mapping):
            if isinstance(app, Chosen):
                option = Option(name=_name(one), value=one, where=source.place(here))
                what = f"is taken, whether or not JavaScript would: {app.code[:60]}"
                hint = f"remove [service.{_name(one)}] where it is not wanted"
                draft.table("project").changed(option, what, hint)
            yield here, one
        else:
            option = Option(name=f"apps[{index}]", value=app, where=source.place(here))
            draft.table("project").lost(option, _why(app), "write it as a literal")


def _taken(app: Any) -> Any:
    while isinstance(app, Chosen):
        app = app.value
    return app


def _no_app(source: Source, path: tuple[str | int, ...], apps: Sequence[Any]) -> UsageError:
    """Of computed ones node itself can tell what they are."""
    computed = next((app for app in apps if isinstance(app, Dynamic)), None)
    if computed is None and not source.name.endswith("js"):
        hint = "it should say { apps: [ { script: … } ] }"
        return unreadable(source.place(path), "holds no app", hint)
    name = source.name.rpartition("/")[2]
    line = f"node -p 'JSON.stringify(require(\"./{name}\"))' > apps.json"
    code = f": {' '.join(computed.code.split())[:60]}" if computed is not None else ""
    what = f"its apps would have to be computed by JavaScript{code}"
    hint = f"let node do it, where it runs: `{line}`, then import apps.json"
    return unreadable(source.place(path), what, hint)


def _top_level(draft: Draft, source: Source, data: Mapping[str, Any], apps: str) -> None:
    for key, value in data.items():
        if key == apps:
            continue
        option = Option(name=key, value=value, where=source.place((key,)))
        if key == "deploy":
            what, hint = (
                "was PM2's deployment over ssh",
                "bring the files by your own means, then `chapiteau reload`",
            )
        else:
            what, hint = "is no section that is known here", "set by hand what you need of it"
        draft.table("project").lost(option, what, hint)


def _why(value: Any) -> str:
    if isinstance(value, Dynamic):
        return f"would have to be computed by JavaScript: {value.code[:60]}"
    return f"is not an object but {value!r}"


# ── one app ───────────────────────────────────────────────────────────────────────────────────
def _app(
    draft: Draft,
    source: Source,
    path: tuple[str | int, ...],
    app: Mapping[str, Any],
    choices: Choices,
) -> None:
    section = f"[{_name(app)}]"
    options = {
        ALIASES.get(key, key): Option(
            name=key, value=value, where=source.place((*path, key)), section=section
        )
        for key, value in app.items()
    }
    named = Option(name="name", value=_name(app), where=source.place(path), section=section)
    target = draft.named("service", named)
    sound: dict[str, Option] = {}
    for key, option in options.items():
        if isinstance(option.value, Dynamic):
            target.lost(option, _why(option.value), "write the value as a literal")
        else:
            value = _plain(target, option, option.value)
            sound[key] = Option(name=key, value=value, where=option.where, section=section)
    _defaults(target)
    variants = {k: o for k, o in sound.items() if _ENV_SET.fullmatch(k)}
    rest = [o for k, o in sound.items() if k not in TOGETHER and k not in variants]
    _jobs(target, sound, rest)
    apply(rest, APP, target)
    give_up_after_failed_starts(target)
    _variants(target, variants, choices.variant)
    _literal_env(target)
    _command(target, sound)
    _instances(target, sound, choices.cpus)
    _logs(target, sound)
    for key in ("name", "name_prefix"):
        if key in sound:
            target.kept(sound[key], "the service's name")


def _name(app: Mapping[str, Any]) -> str:
    name = app.get("name")
    if isinstance(name, str):
        name = _WITH_DEFAULT.sub(r"\2", name)
    if not isinstance(name, str) or not name:
        script = app.get("script", app.get("exec"))
        base = script.rpartition("/")[2] if isinstance(script, str) else ""
        name = base.partition(".")[0] or "app"
    prefix = app.get("name_prefix")
    return f"{prefix}{name}" if isinstance(prefix, str) else name


def _plain(target: Target, option: Option, value: Any) -> Any:
    """The value with environment variables as ours; computed parts inside are reported."""
    if isinstance(value, EnvDefault):
        default = "" if value.default is None else text(value.default)
        if not default:
            return f"${{env.{value.name}}}"
        if not re.search(r"[${}]", default):
            return f"${{env.{value.name}:-{default}}}"
        target.changed(
            option,
            f"had {value.default!r} for when {value.name} is not set; now it must be set",
            f"set {value.name}, or write the value down",
        )
        return f"${{env.{value.name}}}"
    if isinstance(value, Mapping):
        made = {}
        for key, inner in value.items():
            if isinstance(inner, Dynamic) and key.startswith("...") and inner.code == "process.env":
                target.kept(option, "the environment is inherited")
            elif isinstance(inner, Dynamic):
                part = Option(
                    name=f"{option.name}.{key}",
                    value=inner,
                    where=option.where,
                    section=option.section,
                )
                target.lost(part, _why(inner), "write the value as a literal")
            else:
                made[key] = _plain(target, option, inner)
        return made
    if isinstance(value, list):
        kept = [v for v in value if not isinstance(v, Dynamic | Chosen)]
        if len(kept) < len(value):
            target.lost(option, "has parts that JavaScript would compute", "write them as literals")
        return [_plain(target, option, v) for v in kept]
    return value


def _defaults(target: Target) -> None:
    """PM2's defaults that are not ours."""
    target.set("stop_signal", "INT")
    target.set("stop_timeout", "1.6s")
    target.set("stop_group", True)
    target.set("restart.attempts", 16)
    target.set("restart.healthy_after", "1s")


def _jobs(target: Target, sound: Mapping[str, Option], rest: list[Option]) -> None:
    """cron_restart of an app that is not restarted by itself is a job by the clock."""
    cron, again = sound.get("cron_restart"), sound.get("autorestart")
    if cron is None or again is None or again.value is not False:
        return
    target.put(cron, "schedule", text(cron.value))
    rest.remove(cron)


def _variants(target: Target, variants: Mapping[str, Option], wanted: str) -> None:
    for key, option in variants.items():
        name = key.removeprefix("env_")
        if name == wanted:
            APP["env"](option, target)
        else:
            target.lost(
                option,
                "is used with --env only",
                f"import with --env {name}, or make one file for each environment",
            )


def _literal_env(target: Target) -> None:
    env = target.get("env") or {}
    for name, value in env.items():
        env[name] = _keep_ours(text(value))


def _keep_ours(value: str) -> str:
    """Literal text, except for the variables that reading JavaScript has put in."""
    pieces, last = [], 0
    for match in _OURS.finditer(value):
        pieces += [literal(value[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*pieces, literal(value[last:])])


# ── command ───────────────────────────────────────────────────────────────────────────────────
def _command(target: Target, sound: Mapping[str, Option]) -> None:
    script = sound.get("script")
    if script is None:
        return
    try:
        words_of = {
            key: _words(sound[key].value) if key in sound else []
            for key in ("node_args", "args", "exec_interpreter")
        }
        command = _line(target, script, words_of)
    except ValueError as exc:
        target.lost(script, f"the command can't be put together: {exc}", "set command by hand")
        return
    target.put(script, "command", command)
    for key in ("node_args", "args", "exec_interpreter"):
        if key in sound:
            target.kept(sound[key], "part of command")


def _line(target: Target, script: Option, parts: Mapping[str, list[str]]) -> str:
    program = text(script.value)
    if " " in program:
        # PM2 gives what is not one file to a shell.
        target.set("shell", True)
        return _keep_ours(" ".join([program, *map(shlex.quote, parts["args"])]))
    interpreter = parts["exec_interpreter"]
    if not interpreter:
        suffix = re.search(r"\.\w+$", program.rpartition("/")[2])
        known = _INTERPRETERS.get(suffix[0]) if suffix else None
        interpreter = [known] if known else []
        if not known and not suffix and "/" in program:
            target.changed(
                script,
                "is started directly; PM2 gives a text file without an ending to node",
                "write `node` before it if it is one",
            )
    if interpreter and _NODE_VERSION.fullmatch(interpreter[0]):
        what = f"is node, not {interpreter[0]}: PM2 takes a version from nvm"
        target.changed(script, what, "write the path of that version's node into command")
        interpreter = ["node", *interpreter[1:]]
    interpreter = [] if interpreter == ["none"] else interpreter
    return _keep_ours(_join([*interpreter, *parts["node_args"], program, *parts["args"]]))


def _join(parts: Sequence[str]) -> str:
    """Words as one line; our own variables stay outside of quotes that would hide them."""
    return " ".join(part if _OURS.fullmatch(part) else shlex.quote(part) for part in parts)


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text(part) for part in value]
    return words(text(value))


def _instances(target: Target, sound: Mapping[str, Option], cpus: int) -> None:
    option = sound.get("instances")
    if option is None:
        return
    word = text(option.value).strip()
    if chosen := _WITH_DEFAULT.fullmatch(word):
        word = chosen[2]
        what = f"came from the variable {chosen[1]}; it is {word}, as where that is not set"
        target.changed(option, what, "set processes to what this server shall have")
    word = word.lower()
    try:
        count = 0 if word == "max" else integer(word)
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "set processes by hand")
        return
    if count > 0:
        target.put(option, "processes", count)
        return
    target.set("processes", max(1, cpus + count), option)
    target.changed(
        option,
        f"is the number of CPUs of this machine ({cpus}){f', {-count} fewer' if count else ''}",
        "set processes to that of the server, or use [service.NAME.scaling]",
    )


def _logs(target: Target, sound: Mapping[str, Option]) -> None:
    _log_files(target, sound)
    path, cwd = target.get("log.file"), target.get("cwd")
    if path and cwd and path != "none" and not path.startswith(("/", "${")):
        target.set("log.file", f"{cwd}/{path.removeprefix('./')}")  # it starts at the app's folder


def _log_files(target: Target, sound: Mapping[str, Option]) -> None:
    out, err, both = (sound.get(key) for key in ("out_file", "error_file", "log_file"))
    if both is not None and not isinstance(both.value, bool):
        target.put(both, "log.file", literal(text(both.value)))
        if out is not None:
            target.lost(out, "was a file for one stream", "log_file has both streams")
    elif both is not None:
        target.kept(both, "both streams go to one file")
    if err is None:
        return
    if both is None and out is None:
        target.put(err, "log.file", literal(text(err.value)))
    elif out is not None and out.value == err.value:
        target.kept(err, "both streams go to one file")
    else:
        target.lost(
            err,
            "was a file for errors alone",
            "both streams go to one file; JSON lines (log.format) tell them apart",
        )
