"""The tools over one supervisor: reading is done at once, a change is only begun here."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from chapiteau.dash.fleet.problems import node_problems
from chapiteau.io.version import own_version
from chapiteau.mcp.tools import DATA, Arguments, ToolSpec, fitting, tools
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.cli.show import parse_moment
from chapiteau.run.config.access import Role
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage

__all__ = ["INSTRUCTIONS", "SupervisorTools", "server_info"]

INSTRUCTIONS: Final = (
    "Chapiteau supervises the services of one project. Begin with `problems`; `logs` searches the "
    f"output by a regular expression (grep). {DATA} "
    "A tool that changes something answers with its plan; a person approves it elsewhere."
)
_PAGES: Final = 30  # of a search, two seconds each


class SupervisorTools:
    """What the tools do, by name, for a role."""

    def __init__(self, run_dir: Path, role: Role) -> None:
        self.offered: tuple[ToolSpec, ...] = tools(role)
        self._client = AsyncClient.at(run_dir, speaks_as="mcp")

    async def read(self, name: str, given: Arguments) -> dict[str, Any]:
        """The answer of a tool that changes nothing. Raises ChapiteauError."""
        if name == "problems":
            return await self._problems()
        if name == "logs":
            return await self._logs(given)
        if name == "events":
            return await self._events(given)
        found = await self._client.call(name, answer_within=30.0, **given)
        if isinstance(found, Outcome) and not found.ok:
            raise found.to_error()
        return _as_object(found)

    async def _problems(self) -> dict[str, Any]:
        status = await self._client.read("/v1/status")
        found = node_problems(str(status["node"]), status)
        return {"note": DATA, "problems": [msgspec.to_builtins(problem) for problem in found]}

    async def _events(self, given: Arguments) -> dict[str, Any]:
        items = [i.to_dict() async for i in self._client.events(int(given.get("after", 0)))]
        wanted = items[-int(given.get("last", 100)) :]
        kept = fitting(wanted)
        return {"note": DATA, "events": kept, "left_out": len(items) - len(kept)}

    async def _logs(self, given: Arguments) -> dict[str, Any]:
        last = int(given.get("last", 100))
        query = LogQuery(
            services=tuple(given.get("service", ())),
            process=int(given.get("process", 0)),
            stream=str(given.get("stream", "")),
            last=last,
            grep=str(given.get("grep", "")),
            level=str(given.get("level", "")),
            since=parse_moment(given.get("since"), "since"),
            until=parse_moment(given.get("until"), "until"),
        )
        lines, complete = await self._search(query)
        kept = fitting([line.to_dict() for line in lines[-last:]])
        return {"note": DATA, "lines": kept, "searched_all": complete}

    async def _search(self, query: LogQuery) -> tuple[list[LogLine | Gap], bool]:
        """The newest lines that fit, and whether the search came to its end."""
        from dataclasses import replace

        if not (query.grep or query.level or query.since or query.until):
            return [item async for item in self._client.logs(query)], True
        found: list[LogLine | Gap] = []
        query = replace(query, pages=True)
        for _ in range(_PAGES):
            older, page = PreviousPage(), []
            async for item in self._client.log_items(replace(query, last=query.last - len(found))):
                if isinstance(item, PreviousPage):
                    older = item
                else:
                    page.append(item)
            found = page + found
            if not older.places:
                return found, True
            if len(found) >= query.last:
                return found, False
            query = replace(query, before=older.before)
        return found, False


def server_info() -> dict[str, str]:
    """Who the server says that it is."""
    return {"name": "chapiteau", "version": own_version(), "instructions": INSTRUCTIONS}


def _as_object(found: Any) -> dict[str, Any]:
    if isinstance(found, Mapping):
        return dict(found)
    return asdict(found) if not hasattr(found, "to_dict") else dict(found.to_dict())
