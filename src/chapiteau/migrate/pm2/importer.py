"""A whole ecosystem file: its apps, and what they are when JavaScript has been read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.migrate.draft import Draft, Target, report_repeated
from chapiteau.migrate.finish import finish
from chapiteau.migrate.pm2.command import (
    WITH_DEFAULT,
    convert_command,
    convert_instances,
    escape_literals,
)
from chapiteau.migrate.pm2.javascript import (
    Conditional,
    Dynamic,
    EnvDefault,
    node_hint,
    read_javascript,
)
from chapiteau.migrate.pm2.rules import ALIASES, APP, COMBINED, log_path
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules, limit_failed_starts
from chapiteau.migrate.source import ImportOptions, Option, Source, Tree, unreadable
from chapiteau.migrate.values import text

__all__ = ["import_pm2"]

_ENV_SET: Final = re.compile(r"env_(\S+)")


def import_pm2(sources: Sequence[Source], choices: ImportOptions) -> ImportResult:
    """One or several ecosystem files. Raises UsageError with the line."""
    draft = Draft()
    for source in sources:
        tree = source.tree or read_javascript(source)
        known = Source(name=source.name, folder=source.folder, tree=tree)
        for path, app in _apps(draft, known, tree):
            _app(draft, known, path, app, choices)
        report_repeated(draft.table("project"), known, tree)
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
            if isinstance(app, Conditional):
                option = Option(name=_name(one), value=one, where=source.place(here))
                what = f"is taken, whether or not JavaScript would: {app.code[:60]}"
                hint = f"remove [service.{_name(one)}] where it is not wanted"
                draft.table("project").changed(option, what, hint)
            yield here, one
        else:
            option = Option(name=f"apps[{index}]", value=app, where=source.place(here))
            draft.table("project").lost(option, _why(app), "write it as a literal")


def _taken(app: Any) -> Any:
    while isinstance(app, Conditional):
        app = app.value
    return app


def _no_app(source: Source, path: tuple[str | int, ...], apps: Sequence[Any]) -> UsageError:
    """Of computed ones node itself can tell what they are."""
    computed = next((app for app in apps if isinstance(app, Dynamic)), None)
    if computed is None and not source.name.endswith("js"):
        hint = "it should say { apps: [ { script: … } ] }"
        return unreadable(source.place(path), "holds no app", hint)
    code = f": {' '.join(computed.code.split())[:60]}" if computed is not None else ""
    what = f"its apps would have to be computed by JavaScript{code}"
    return unreadable(source.place(path), what, node_hint(source))


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
    choices: ImportOptions,
) -> None:
    section = f"[{_name(app)}]"
    named = Option(name="name", value=_name(app), where=source.place(path), section=section)
    target = draft.named("service", named)
    options = _by_name(
        target,
        [
            Option(name=key, value=value, where=source.place((*path, key)), section=section)
            for key, value in app.items()
        ],
    )
    sound: dict[str, Option] = {}
    for key, option in options.items():
        if isinstance(option.value, Dynamic):
            target.lost(option, _why(option.value), "write the value as a literal")
        else:
            value = _plain(target, option, option.value)
            sound[key] = Option(name=key, value=value, where=option.where, section=section)
    _defaults(target)
    variants = {
        k: o for k, o in sound.items() if _ENV_SET.fullmatch(k) and isinstance(o.value, Mapping)
    }
    rest = [o for k, o in sound.items() if k not in COMBINED and k not in variants]
    _delays(target, sound, rest)
    _jobs(target, sound, rest)
    apply_rules(rest, APP, target)
    limit_failed_starts(target)
    _variants(target, variants, choices.variant)
    _literal_env(target)
    convert_command(target, sound)
    convert_instances(target, sound, choices.cpus)
    _logs(target, sound)
    for key in ("name", "name_prefix"):
        if key in sound:
            target.kept(sound[key], "the service's name")


def _by_name(target: Target, given: Sequence[Option]) -> dict[str, Option]:
    """The options by the names used here; of two names for one thing the first counts."""
    options: dict[str, Option] = {}
    for option in sorted(given, key=lambda o: o.name in ALIASES):
        name = ALIASES.get(option.name, option.name)
        if name in options:
            what = f"is another name for {options[name].name}, which is given, too"
            target.lost(option, what, "delete one of the two")
        options.setdefault(name, option)
    return options


def _name(app: Mapping[str, Any]) -> str:
    name = app.get("name")
    if isinstance(name, str):
        name = WITH_DEFAULT.sub(r"\2", name)
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
        kept = [v for v in value if not isinstance(v, Dynamic | Conditional)]
        if len(kept) < len(value):
            target.lost(option, "has parts that JavaScript would compute", "write them as literals")
        return [_plain(target, option, v) for v in kept]
    return value


def _defaults(target: Target) -> None:
    """PM2's defaults that are not ours."""
    target.set("stop_signal", "INT")
    target.set("stop_timeout", "1.6s")
    target.set("stop_group", True)
    target.set("restart.attempts", 15)  # 16 starts in all
    target.set("restart.healthy_after", "1s")


def _jobs(target: Target, sound: Mapping[str, Option], rest: list[Option]) -> None:
    """cron_restart of an app that is not restarted by itself is a job by the clock."""
    cron, again = sound.get("cron_restart"), sound.get("autorestart")
    if cron is None or again is None or again.value is not False:
        return
    target.put(cron, "schedule", text(cron.value))
    rest.remove(cron)


def _delays(target: Target, sound: Mapping[str, Option], rest: list[Option]) -> None:
    """A growing delay wins over a fixed one."""
    fixed = sound.get("restart_delay")
    if fixed is not None and "exp_backoff_restart_delay" in sound:
        target.kept(fixed, "PM2 ignores it beside exp_backoff_restart_delay")
        rest.remove(fixed)


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
        env[name] = escape_literals(text(value))


def _logs(target: Target, sound: Mapping[str, Option]) -> None:
    _log_files(target, sound)
    path, cwd = target.get("log.file"), target.get("cwd")
    if path and cwd and path != "none" and not path.startswith(("/", "${")):
        target.set("log.file", f"{cwd}/{path.removeprefix('./')}")  # it starts at the app's folder


def _log_files(target: Target, sound: Mapping[str, Option]) -> None:
    out, err, both = (sound.get(key) for key in ("out_file", "error_file", "log_file"))
    if both is not None and not isinstance(both.value, bool):
        target.put(both, "log.file", log_path(both.value))
        if out is not None:
            target.lost(out, "was a file for one stream", "log_file has both streams")
    elif both is not None:
        target.kept(both, "both streams go to one file")
    if err is None:
        return
    if both is None and out is None:
        target.put(err, "log.file", log_path(err.value))
        target.changed(err, "was a file for errors alone: both streams go there now")
    elif out is not None and out.value == err.value:
        target.kept(err, "both streams go to one file")
    else:
        target.lost(
            err,
            "was a file for errors alone",
            "both streams go to one file; JSON lines (log.format) tell them apart",
        )
