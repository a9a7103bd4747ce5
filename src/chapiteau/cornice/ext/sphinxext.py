"""Services in Sphinx documents: the directives of cornice.ext.sphinx, with the same options.

    extensions = ["chapiteau.cornice.ext.sphinxext"]

    .. cornice-autodoc::
       :modules: shop.views
       :services: orders, customers

`modules` are imported first; `app` is a module or package that is imported with all that is below
it; `service` and `services` choose by name, `ignore` leaves names out, and `docstring-replace` is
a text that is taken out of docstrings, or `old|new`. `services` is the directive's old name.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList

from chapiteau.cornice.service import Service, get_services
from chapiteau.cornice.swagger.schemas import whole_schema
from chapiteau.cornice.util import func_name, to_list

__all__ = ["ServiceDirective", "setup"]

_PLACES = ("path", "querystring", "header", "cookies", "body")


def _words(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").split()


class ServiceDirective(Directive):
    """Describes services: paths, methods, parameters of their schemas, validators, media types."""

    has_content = True
    option_spec: ClassVar[Any] = {
        "modules": _words,
        "app": directives.unchanged_required,
        "service": directives.unchanged_required,
        "services": _words,
        "ignore": _words,
        "docstring-replace": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """A section per service, in the order of their paths."""
        for name in self.options.get("modules", ()):
            importlib.import_module(name)
        if app := self.options.get("app"):
            _import_below(app)
        names = [*self.options.get("services", ()), *_words(self.options.get("service"))]
        chosen = get_services(names or None, self.options.get("ignore"))
        return [self._service(one) for one in sorted(chosen, key=lambda s: (_path(s), s.name))]

    def _service(self, service: Service) -> nodes.section:
        made = _section(f"service-{service.name}", f"{service.name} service at {_path(service)}")
        if service.description:
            made += self._parsed(service.description)
        for method, view, arguments in service.definitions:
            made += self._method(service, method, view, arguments)
        return made

    def _method(self, service: Service, method: str, view: Any, arguments: dict[str, Any]) -> Any:
        made = _section(f"service-{service.name}-{method.lower()}", method)
        real = getattr(arguments.get("klass"), view) if isinstance(view, str) else view
        made += self._parsed(self._docstring(real))
        schema = whole_schema(arguments) if arguments.get("schema") else None
        for place in _PLACES:
            node = next((c for c in schema or () if c.name == place), None)
            if node is not None and len(node.children):
                made += nodes.rubric(text=f"Parameters: {place}")
                made += _listed(_parameter(child) for child in node.children)
        if validators := to_list(arguments.get("validators", ())):
            made += nodes.rubric(text="Validators")
            made += _listed(_about(one) for one in validators)
        for words, name in (("Takes", "content_type"), ("Answers with", "accept")):
            if kinds := [str(k) for k in to_list(arguments.get(name)) if k and not callable(k)]:
                made += nodes.paragraph(text=f"{words}: {', '.join(kinds)}")
        return made

    def _docstring(self, view: Any) -> str:
        text = inspect.getdoc(view) or ""
        if replace := self.options.get("docstring-replace"):
            old, _, new = replace.partition("|")
            text = text.replace(old, new)
        return text

    def _parsed(self, text: str) -> list[nodes.Node]:
        """Markup inside docstrings counts, as everywhere in such documents."""
        holder = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), source="docstring"), 0, holder)
        return holder.children


def _import_below(name: str) -> None:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        importlib.import_module(found.name)


def _path(service: Service) -> str:
    return str(service.path or service.pyramid_route or "")


def _section(name: str, title: str) -> nodes.section:
    made = nodes.section(ids=[nodes.make_id(name)], names=[name])
    made += nodes.title(text=title)
    return made


def _listed(items: Iterable[str]) -> nodes.bullet_list:
    made = nodes.bullet_list()
    for text in items:
        made += nodes.list_item("", nodes.paragraph(text=text))
    return made


def _parameter(node: Any) -> str:
    kind = type(node.typ).__name__.lower()
    needed = "required" if node.required else "optional"
    words = f" – {node.description}" if node.description else ""
    return f"{node.name} ({kind}, {needed}){words}"


def _about(validator: Any) -> str:
    if isinstance(validator, str):
        return validator
    first = (inspect.getdoc(validator) or "").partition("\n")[0]
    return f"{func_name(validator)}: {first}" if first else func_name(validator)


def setup(app: Any) -> dict[str, Any]:
    """As Sphinx calls it."""
    app.add_directive("cornice-autodoc", ServiceDirective)
    app.add_directive("services", ServiceDirective)
    return {"parallel_read_safe": True}
