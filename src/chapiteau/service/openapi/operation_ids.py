"""Operation ids: stable, unique, and what links name."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

from chapiteau.core.problems import did_you_mean
from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.signature import Link
from chapiteau.service.errors import DeclarationError

__all__ = ["Ids"]


class Ids:
    """The id of every operation of a document, given in its order."""

    def __init__(self, shown: Sequence[tuple[Any, Operation]]) -> None:
        self._ids: dict[int, str] = {}
        self._operations: dict[str, list[Operation]] = {}
        several: dict[tuple[int, str, str], str] = {}  # views of one method have one id
        for service, op in shown:
            key = (id(service), op.path, op.method)
            made = several.setdefault(key, "") or self._new(service.name, op)
            several[key] = self._ids[id(op)] = made
            self._operations.setdefault(made, []).append(op)

    def of(self, op: Operation) -> str:
        """The id of one operation."""
        return self._ids[id(op)]

    def _new(self, service: str, op: Operation) -> str:
        """The given one, or the handler's name, made longer on a clash."""
        name = getattr(op.handler, "__name__", "")
        plain = re.sub(r"\W+", "_", f"{op.method.lower()}_{service}")
        for wish in (op.options.operation_id, name, f"{service}_{name}", plain):
            if wish and wish not in self._operations and wish != "<lambda>":
                return wish
        number = 2
        while f"{plain}_{number}" in self._operations:
            number += 1
        return f"{plain}_{number}"

    def link(self, link: Link, where: str) -> dict[str, Any]:
        """A link object. Raises DeclarationError when it leads nowhere."""
        target = self._target(link, where)
        views = self._operations[target]
        known = {p.wire for op in views for p in op.parameters} | {"If-Match"}
        for name in link.parameters:
            if name not in known:
                raise DeclarationError(
                    f"{where}: {target} has no parameter {name!r}",
                    hint=did_you_mean(name, known) or "name one that it has",
                )
        made: dict[str, Any] = {"operationId": target}
        if link.parameters:
            made["parameters"] = dict(link.parameters)
        if link.description:
            made["description"] = link.description
        return made

    def _target(self, link: Link, where: str) -> str:
        if isinstance(link.operation, str):
            if link.operation in self._operations:
                return link.operation
            words, hint = link.operation, did_you_mean(link.operation, self._operations)
        else:
            wanted = inspect.unwrap(link.operation)
            for name, views in self._operations.items():
                if any(inspect.unwrap(op.handler) is wanted for op in views):
                    return name
            words, hint = getattr(wanted, "__qualname__", repr(wanted)), ""
        raise DeclarationError(
            f"{where} leads to {words}, which is no operation of this document",
            hint=hint or "name a handler, or its operation id",
        )
