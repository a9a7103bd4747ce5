"""What an operation has to do with others: links from its answer, requests it will send."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Callback", "Link"]


class Link:
    """From an answer to an operation that it leads to (OpenAPI: link object).

        @notes.post(status=201, links={"note": Link("get_note", note_id="$response.body#/id")})

    `operation` is a handler or its operation id; the rest says where its parameters come from, as
    runtime expressions of OpenAPI (`$response.body#/id`, `$response.header.Location`,
    `$request.path.id`) or as constants. The document can't be made when there is no such operation
    or parameter. Tools follow links to try one operation with what another has answered.
    """

    __slots__ = ("description", "operation", "parameters")

    def __init__(
        self, operation: str | Callable[..., Any], description: str = "", **parameters: Any
    ) -> None:
        self.operation = operation
        self.description = description
        self.parameters: Mapping[str, Any] = parameters

    def __repr__(self) -> str:
        return f"<Link to {self.operation}>"


class Callback:
    """A request that the service sends because of an operation (OpenAPI: callback object).

        def done(report: Report) -> None:
            "The report is ready."

        @reports.post(callbacks={"done": Callback("{$request.body#/notify}", done)})

    `url` is a runtime expression; the function's signature and docstring describe the request,
    and it is never called.
    """

    __slots__ = ("method", "request", "url")

    def __init__(self, url: str, request: Callable[..., Any], *, method: str = "POST") -> None:
        self.url = url
        self.request = request
        self.method = method

    def __repr__(self) -> str:
        return f"<Callback {self.method} {self.url}>"
