"""Molotov; the URL comes by the environment."""

import os

from molotov import scenario

URL = os.environ["TARGET"] + "/"


@scenario()
async def get(session):
    async with session.get(URL) as answer:
        await answer.read()
        assert answer.status == 200
