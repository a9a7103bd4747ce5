"""Real ids: what answers show of one operation becomes path parameters of another.

`/cities/{id}` is fed by the items of `GET /cities`, a fresh note by the answer to `POST …/notes`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.load.inputs.openapi.operations import Operation
from chapiteau.load.inputs.url_encoding import unquote, url_origin
from chapiteau.load.scenario.flow import FlowResponse

__all__ = ["IdSource", "created_id", "id_sources", "item_id", "linked_value", "list_items"]

_LIST_KEYS: Final = ("items", "data", "results", "content", "value", "records", "entries", "hits")
_ID_KEYS: Final = ("id", "uuid", "key", "code", "slug", "name", "_id", "@id", "self", "href")
_MOST_ITEMS: Final = 200
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSource:
    """Where the values of one path parameter come from."""

    parameter: str
    prefix: str  # the collection's path, `/cities/{id}/notes`
    lister: Operation | None = None
    creator: Operation | None = None
    linker: Operation | None = None  # its answer has the value, says a link of the document
    expression: str = ""  # … at this place
    apart: bool = False  # the list or creator has a path of its own: any of its ids will do


def id_sources(operation: Operation, operations: Iterable[Operation]) -> tuple[IdSource, ...]:
    """A source for each path parameter, in the path's order."""
    known = list(operations)
    found = []
    for prefix, name in _parameters_in(operation.path):
        own_lister, own_creator = _at(known, "GET", prefix), _at(known, "POST", prefix)
        lister = own_lister or _namesake(known, name) or _elsewhere(known, "GET", prefix)
        creator = own_creator or _elsewhere(known, "POST", prefix)
        linker, expression = _linker(known, operation, name)
        found.append(
            IdSource(
                parameter=name,
                prefix=prefix,
                lister=lister if lister is not operation else None,
                creator=creator,
                apart=own_lister is None and own_creator is None,
                linker=linker,
                expression=expression,
            )
        )
    return tuple(found)


def _parameters_in(path: str) -> list[tuple[str, str]]:
    """Each parameter with the path before its segment: `/a/{x}/b/{y}` has `/a` and `/a/{x}/b`."""
    found = []
    for start, char in enumerate(path):
        end = path.find("}", start)
        if char == "{" and end > 0:
            found.append((path[: path.rfind("/", 0, start)], path[start + 1 : end]))
    return found


def _linker(
    operations: list[Operation], target: Operation, parameter: str
) -> tuple[Operation | None, str]:
    """The operation whose answer leads to this one's parameter, and where the value stands."""
    names = {target.name, target.operation_id} - {""}
    for operation in operations:
        for link in operation.links:
            for key in (parameter, f"path.{parameter}"):
                if link.target in names and key in link.parameters:
                    return operation, link.parameters[key]
    return None, ""


def _at(operations: list[Operation], method: str, path: str) -> Operation | None:
    for operation in operations:
        if operation.method == method and operation.path.rstrip("/") == path and path:
            return operation
    return None


def _elsewhere(operations: list[Operation], method: str, prefix: str) -> Operation | None:
    """The same collection below something else: `/cities/{city}/notes` feeds `/notes/{note}`."""
    last = prefix.rpartition("/")[2]
    for operation in operations:
        path = operation.path.rstrip("/")
        if operation.method == method and path.endswith(f"}}/{last}") and last and "{" not in last:
            return operation
    return None


def _namesake(operations: list[Operation], parameter: str) -> Operation | None:
    """A list without parameters that is called like the parameter: `city_id` and `/cities`."""
    stem = _stem(parameter)
    for operation in operations:
        last = operation.path.rstrip("/").rpartition("/")[2]
        if operation.method == "GET" and "{" not in operation.path and stem and stem == _stem(last):
            return operation
    return None


def _stem(name: str) -> str:
    """`cityId`, `city_id`, `cities` and `City` are all about a city."""
    text = name.replace("_", "").replace("-", "").lower()
    text = text.removesuffix("uuid").removesuffix("id")
    if text.endswith("ies"):
        return text[:-3] + "y"
    if text.endswith(("sses", "xes", "ches", "shes")):
        return text[:-2]
    return text.removesuffix("s") if not text.endswith("ss") else text


def list_items(answer: Any, depth: int = 0) -> list[Any]:
    """The items of a list operation's answer, however it is wrapped; at most 200."""
    if isinstance(answer, list):
        return [i for i in answer[:_MOST_ITEMS] if isinstance(i, Mapping | str | int)]
    if not isinstance(answer, Mapping) or depth > _DEEPEST:
        return []
    values = [answer[key] for key in _LIST_KEYS if key in answer]
    values += [v for k, v in answer.items() if k not in _LIST_KEYS]
    lists = [v for v in values if isinstance(v, list)]
    for value in [*lists, *(v for v in values if isinstance(v, Mapping))]:
        found = list_items(value, depth + 1)
        if found:
            return found
    return []


def item_id(item: Any, parameter: str) -> Any:
    """The value in a list's item that the path parameter wants; None when there is none."""
    if isinstance(item, str | int) and not isinstance(item, bool):
        return item
    if not isinstance(item, Mapping):
        return None
    wanted = _flat(parameter)
    by_name = {_flat(str(key)): value for key, value in item.items()}
    names = [wanted]
    if wanted.endswith("id"):
        names.append("id")
    elif _stem(parameter):
        names += [wanted + "id", wanted + "name"]
    for name in (*names, *_ID_KEYS):
        value = by_name.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value:
            return _last_segment(value) if name in {"@id", "self", "href"} else value
    return None


def _flat(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower() if name != "_id" else name


def _last_segment(url: str) -> str:
    path = url[len(url_origin(url)) :].partition("?")[0].partition("#")[0]
    return unquote(path.rstrip("/").rpartition("/")[2])


def created_id(answer: FlowResponse, source: IdSource) -> Any:
    """The id of what a create operation made: by link, from Location, else from its JSON."""
    if source.linker is not None and source.linker is source.creator:
        value = linked_value(source.expression, answer)
        if value is not None:
            return value
    prefix, parameter = source.prefix, source.parameter
    location = answer.headers.get("location", "")
    path = location[len(url_origin(location)) :].partition("?")[0].rstrip("/")
    last = prefix.rstrip("/").rpartition("/")[2]
    if path.rpartition("/")[2] and (last.startswith("{") or f"{last}/" in path):
        return unquote(path.rpartition("/")[2])
    body = answer.json
    found = item_id(body, parameter)
    if found is None and isinstance(body, Mapping):
        inner = [v for v in body.values() if isinstance(v, Mapping)]
        found = next((v for v in (item_id(i, parameter) for i in inner) if v is not None), None)
    return found


def linked_value(expression: str, answer: FlowResponse) -> Any:
    """The value of a link's runtime expression (4.8.20.4) in an answer; None when absent."""
    if expression.startswith("$response.header."):
        return answer.headers.get(expression[len("$response.header.") :].lower())
    if not expression.startswith("$response.body"):
        return None if expression.startswith("$") else expression
    node = answer.json
    for part in expression.partition("#")[2].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping):
            node = node.get(key)
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node if isinstance(node, str | int | float) else None
