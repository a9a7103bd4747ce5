"""Tools behind the official library: over stdin and stdout, for the program that started us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.mcp.tools import check, find_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    import mcp_types as types
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server

    from chapiteau.mcp.tools import Arguments, ToolSpec

__all__ = ["Tools", "make_server", "serve_stdio"]


class Tools(Protocol):
    """What is served: a list of tools, and what each does."""

    @property
    def offered(self) -> Sequence[ToolSpec]:
        """The tools."""

    async def read(self, name: str, given: Arguments) -> dict[str, Any]:
        """The answer of one that changes nothing. Raises ChapiteauError."""


def make_server(tools: Tools, *, name: str, version: str, instructions: str) -> Server[Any]:
    """A server of these tools. Raises UsageError without the library."""
    try:
        import mcp_types as types
        from mcp.server.lowlevel import Server
    except ImportError as exc:
        raise UsageError(
            f"this needs the extra [mcp]: {exc}", hint="pip install 'chapiteau[mcp]'"
        ) from None

    async def list_tools(
        _ctx: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(spec) for spec in tools.offered])

    async def call_tool(
        _ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        given = params.arguments or {}
        try:
            spec = find_tool(params.name, tools.offered)
            check(spec, given)
            return _answer(await tools.read(spec.name, given))
        except ChapiteauError as exc:
            return _failed(exc)

    return Server(
        name,
        version=version,
        instructions=instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Until the client closes our standard input."""
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _tool(spec: ToolSpec) -> types.Tool:
    import mcp_types as types

    return types.Tool(
        name=spec.name,
        description=spec.description,
        input_schema=spec.schema,
        annotations=types.ToolAnnotations(
            read_only_hint=not spec.changes, destructive_hint=spec.changes, open_world_hint=False
        ),
    )


def _answer(found: dict[str, Any], *, is_error: bool = False) -> types.CallToolResult:
    """As text too, in JSON: what a program wrote can't end its string."""
    import mcp_types as types

    text = types.TextContent(type="text", text=json.dumps(found))
    return types.CallToolResult(content=[text], structured_content=found, is_error=is_error)


def _failed(exc: ChapiteauError) -> types.CallToolResult:
    return _answer({"error": exc.what, "hint": exc.hint}, is_error=True)
