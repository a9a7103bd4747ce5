"""From `use = "…"` to a class: shipped, offered by an installed package, or the project's own."""

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.run.config.plugin_settings import BUILTIN_PLUGINS
from chapiteau.run.config.spec import Plugin as PluginSpec
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["GROUP", "find_plugin", "option_problems", "read_options"]

GROUP: Final = "chapiteau.plugins"  # the entry point group of installed packages


def find_plugin(use: str, folder: Path) -> type[Plugin]:
    """The class. Modules are looked for in the project's `folder` first.

    Raises NotFoundError and UsageError.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if use in BUILTIN_PLUGINS:
        return _load(BUILTIN_PLUGINS[use].target)
    if ":" in use:
        return _load(use)
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if use not in offered:
        hint = did_you_mean(use, [*BUILTIN_PLUGINS, *offered])
        raise NotFoundError(f"no plugin {use!r}", hint=hint)
    return _load(offered[use].value)


def _load(target: str) -> type[Plugin]:
    module, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name or module
        hint = f"it is looked for in the project's folder and in {sys.prefix}"
        if missing == "zmq":
            hint = "pip install 'chapiteau[circus]'"
        raise NotFoundError(f"{target}: there is no module {missing!r}", hint=hint) from exc
    except Exception as exc:
        raise UsageError(f"{target}: its module fails: {type(exc).__name__}: {exc}") from exc
    for part in name.split("."):
        known = [n for n in vars(found) if not n.startswith("_")]
        found = getattr(found, part, None)
        if found is None:
            hint = did_you_mean(part, known)
            raise NotFoundError(f"{target}: {module} has no {part!r}", hint=hint)
    if not isinstance(found, type) or not issubclass(found, Plugin):
        hint = "from chapiteau.run.client import Plugin"
        raise UsageError(f"{target} is no subclass of Plugin", hint=hint)
    return found


def read_options(name: str, plugin: type[Plugin], raw: object) -> Any:
    """[plugin.NAME.options] as the class declares it. Raises InvalidInputError."""
    made, problems = read(plugin.Options, raw, ("plugin", name, "options"))
    raise_problems(f"plugin {name}", [problem for _, problem in problems])
    return made


def option_problems(
    name: str, spec: PluginSpec, folder: Path
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """What is wrong with a plugin that is not shipped; importing it is the only way to know."""
    if ":" not in spec.use and spec.use not in entry_points(group=GROUP).names:
        return []  # shipped, or unknown: both are told where the configuration is read
    try:
        found = find_plugin(spec.use, folder)
    except (NotFoundError, UsageError) as exc:
        place = ("plugin", name, "use")
        return [(place, Problem(".".join(place), exc.what, exc.hint))]
    return read(found.Options, spec.options, ("plugin", name, "options"))[1]
