"""A node's side of commands: what it takes on, and that it does nothing twice."""

from collections.abc import Awaitable
from typing import Any

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.node import Node
from chapiteau.dash.engine.plane.ledger import Ledger
from chapiteau.dash.logic.nodes.plane import Order, check_order

__all__ = ["Intake"]


class Intake:
    """Takes orders for one node, whichever way they came."""

    def __init__(self, node: Node, ledger: Ledger) -> None:
        self.node = node
        self.ledger = ledger

    def begin(self, order: Order) -> Awaitable[dict[str, Any]]:
        """Take it on: its id is on disk when this returns. Await what it gives for the outcome.

        A replayed order gets the first outcome. Whoever waits may go away: what was begun runs to
        its end. Raises NotAllowedError, undone.
        """
        if not self.ledger.knows(order.id):
            check_order(order, self.ledger.fence)
            self.ledger.raise_fence(order.fence)
        return self.ledger.once(order.id, lambda: self._do(order))

    async def _do(self, order: Order) -> dict[str, Any]:
        try:
            return await self.node.command(order.verb, order.service, order.options, order.who)
        except ChapiteauError as exc:
            return {
                "ok": False,
                "error": exc.what,
                "hint": exc.hint,
                "exit_code": exc.exit_code,
                "data": {},
            }
