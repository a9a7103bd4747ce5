"""Session tickets of TLS: read when they are needed, and not for each connection."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.engine.origin import ConnectionSettings
from tests.load.engine.test_session import session, tls
from tests.load.server import answer, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.server import Asked

pytestmark = pytest.mark.slow


async def test_a_server_that_no_longer_takes_a_ticket_is_given_its_new_ones(
    tmp_path: Path,
) -> None:
    """It was restarted, with other keys; from then on each connection brings the newest."""

    async def once(_asked: Asked) -> bytes:
        return answer(b"ok", "200 OK", "Connection: close", "X-Then-Close: yes")

    context, _, _ = tls(tmp_path)
    other, _, _ = tls(tmp_path)
    async with AsyncExitStack() as stack:
        s = await stack.enter_async_context(session("", settings=ConnectionSettings(verify=False)))
        async with serving(once, context) as server:
            for _ in range(3):
                await s.get(server.url)
        async with serving(once, other, port=server.port) as again:
            for _ in range(3):
                await s.get(again.url)
    assert (server.resumed, again.resumed) == (2, 2)
