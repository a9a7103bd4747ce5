"""A whole ecosystem file: its apps, and what they are when JavaScript has been read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from chapiteau.migrate.pm2.rules import ALIASES, TABLES, environment, log_path
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.rules import apply_rules, limit_failed_starts
from chapiteau.migrate.source import ImportOptions, KeyPath, Option, Source, unreadable
from chapiteau.migrate.values import text

__all__ = ["import_pm2"]

# PM2's defaults that are not ours
_DEFAULTS: Final = {
    "stop_signal": "INT",
    "stop_timeout": "1.6s",
    "stop_group": True,
    "restart.attempts": 15,  # 16 starts in all
    "restart.healthy_after": "1s",
}


def import_pm2(sources: Sequence[Source], options: ImportOptions) -> ImportResult:
    """One or several ecosystem files. Raises UsageError with the line."""
    draft = Draft()
    for source in sources:
        tree = source.tree or read_javascript(source)
        known = replace(source, tree=tree)
        for path, app in _apps(draft, known, tree.data):
            _app(draft, known, path, app, options)
        report_repeated(draft, known, tree)
        for line, code in tree.not_run:
            option = Option(name=code.split(None, 1)[0][:40], value=code, where=known.where(line))
            what = f"is not run: {' '.join(code.split())[:60]}"
            draft.project.lost(option, what, "set by hand what it would have set")
    return finish(draft, sources, "PM2")


def _apps(draft: Draft, source: Source, data: Any) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    path: KeyPath = ()
    if isinstance(data, Mapping) and ("apps" in data or "pm2" in data):
        key = "apps" if "apps" in data else "pm2"
        _top_level(draft, source, data, key)
        data, path = data[key], (key,)
    apps = data if isinstance(data, list) else [data]
    if not any(isinstance(_taken(app), Mapping) for app in apps):
        raise _no_app(source, path, apps)
    for index, app in enumerate(apps):
        here = (*path, index) if isinstance(data, list) else path
        where, one = source.place(here), _taken(app)
        if not isinstance(one, Mapping):
            option = Option(name=f"apps[{index}]", value=app, where=where)
            draft.project.lost(option, _why(app), "write it as a literal")
            continue
        if isinstance(app, Conditional):
            name = _name(one)
            what = f"is taken, whether or not JavaScript would: {app.code[:60]}"
            hint = f"remove [service.{name}] where it is not wanted"
            draft.project.changed(Option(name=name, value=one, where=where), what, hint)
        yield here, one


def _taken(app: Any) -> Any:
    while isinstance(app, Conditional):
        app = app.value
    return app


def _no_app(source: Source, path: KeyPath, apps: Sequence[Any]) -> UsageError:
    """Of computed ones node itself can tell what they are."""
    computed = next((app for app in apps if isinstance(app, Dynamic)), None)
    if computed is None and not source.name.endswith("js"):
        hint = "it should say { apps: [ { script: … } ] }"
        return unreadable(source.place(path), "holds no app", hint)
    code = f": {' '.join(computed.code.split())[:60]}" if computed is not None else ""
    what = f"its apps would have to be computed by JavaScript{code}"
    return unreadable(source.place(path), what, node_hint(source))


def _top_level(draft: Draft, source: Source, data: Mapping[str, Any], apps: str) -> None:
    for option in source.options((), data):
        if option.name == "deploy":
            hint = "copy the files by your own means, then `chapiteau reload`"
            draft.project.lost(option, "was PM2's deployment over ssh", hint)
        elif option.name != apps:
            hint = "set by hand what you need of it"
            draft.project.lost(option, "is no section that is known here", hint)


def _why(value: Any) -> str:
    if isinstance(value, Dynamic):
        return f"would have to be computed by JavaScript: {value.code[:60]}"
    return f"is not an object but {value!r}"


# ── one app ───────────────────────────────────────────────────────────────────────────────────
def _app(
    draft: Draft, source: Source, path: KeyPath, app: Mapping[str, Any], options: ImportOptions
) -> None:
    name = _name(app)
    section = f"[{name}]"
    named = Option(name="name", value=name, where=source.place(path), section=section)
    target = draft.named("service", named)
    sound = _sound(target, source.options(path, app, section))
    target.defaults(_DEFAULTS)
    rest = dict(sound)
    if "exp_backoff_restart_delay" in rest and (fixed := rest.pop("restart_delay", None)):
        target.kept(fixed, "PM2 ignores it beside exp_backoff_restart_delay")
    if "cron_restart" in rest and "autorestart" in rest and rest["autorestart"].value is False:
        # An app that is not restarted by itself is a job by the clock.
        cron = rest.pop("cron_restart")
        target.put(cron, "schedule", text(cron.value))
    variants = [k for k, o in rest.items() if k[:4] == "env_" and isinstance(o.value, Mapping)]
    found = [rest.pop(key) for key in variants]
    apply_rules(rest.values(), TABLES["app"], target)
    limit_failed_starts(target)
    for option in found:
        variant = option.name.removeprefix("env_")
        if variant == options.variant:
            environment(option, target, option.value)
        else:
            hint = f"import with --env {variant}, or make one file for each environment"
            target.lost(option, "is used with --env only", hint)
    for variable, value in (target.get("env") or {}).items():
        target.set_env(variable, escape_literals(text(value)))
    convert_command(target, sound)
    convert_instances(target, sound, options.cpus)
    _logs(target, sound)
    for key in ("name", "name_prefix"):
        if key in sound:
            target.kept(sound[key], "the service's name")


def _sound(target: Target, given: Sequence[Option]) -> dict[str, Option]:
    """The options by the names used here; computed ones are lost.

    Of two names for one thing the first counts.
    """
    options: dict[str, Option] = {}
    for option in sorted(given, key=lambda o: o.name in ALIASES):
        name = ALIASES.get(option.name, option.name)
        if name in options:
            what = f"is another name for {options[name].name}, which is given, too"
            target.lost(option, what, "delete one of the two")
        options.setdefault(name, option)
    sound = {}
    for name, option in options.items():
        if isinstance(option.value, Dynamic):
            target.lost(option, _why(option.value), "write the value as a literal")
        else:
            sound[name] = replace(option, name=name, value=_plain(target, option, option.value))
    return sound


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
        if value.default is None or not re.search(r"[${}]", text(value.default)):
            return str(value)
        target.changed(
            option,
            f"had {value.default!r} for when {value.name} is not set; now it must be set",
            f"set {value.name}, or write the value down",
        )
        return f"${{env.{value.name}}}"
    if isinstance(value, Mapping):
        made = {}
        for key, inner in value.items():
            if not isinstance(inner, Dynamic):
                made[key] = _plain(target, option, inner)
            elif key.startswith("...") and inner.code == "process.env":
                target.kept(option, "the environment is inherited")
            else:
                part = replace(option, name=f"{option.name}.{key}", value=inner)
                target.lost(part, _why(inner), "write the value as a literal")
        return made
    if isinstance(value, list):
        kept = [v for v in value if not isinstance(v, Dynamic | Conditional)]
        if len(kept) < len(value):
            target.lost(option, "has parts that JavaScript would compute", "write them as literals")
        return [_plain(target, option, v) for v in kept]
    return value


def _logs(target: Target, sound: Mapping[str, Option]) -> None:
    out, err, both = (sound.get(key) for key in ("out_file", "error_file", "log_file"))
    if both is not None and not isinstance(both.value, bool):
        target.put(both, "log.file", log_path(both.value))
        if out is not None:
            target.lost(out, "was a file for one stream", "log_file has both streams")
    elif both is not None:
        target.kept(both, "both streams go to one file")
    if err is not None and both is None and out is None:
        target.put(err, "log.file", log_path(err.value))
        target.changed(err, "was a file for errors alone: both streams go there now")
    elif err is not None and out is not None and out.value == err.value:
        target.kept(err, "both streams go to one file")
    elif err is not None:
        hint = "both streams go to one file; JSON lines (log.format) tell them apart"
        target.lost(err, "was a file for errors alone", hint)
    path, cwd = target.get("log.file"), target.get("cwd")
    if path and cwd and path != "none" and not path.startswith(("/", "${")):
        target.set("log.file", f"{cwd}/{path.removeprefix('./')}")  # it starts at the app's folder
