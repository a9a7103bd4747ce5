"""A molotov file as people write them: fixtures, weights, events, variables."""

import os

import molotov
from molotov import events, get_context, get_var, json_request, scenario, set_var

API = os.environ["SHOP"]
counts = {"sending_request": 0, "response_received": 0, "scenario_failure": 0}


@molotov.global_setup()
def find_products(args):
    listed = json_request(f"{API}/products")
    assert listed["status"] == 200
    set_var("products", [item["id"] for item in listed["content"]["items"]])


@molotov.setup()
async def credentials(worker_id, args):
    return {"headers": {"X-Worker": str(worker_id)}}


@molotov.setup_session()
async def prepare(worker_id, session):
    session.seen = []
    async with session.post(f"{API}/login", json={"worker": worker_id}) as resp:
        assert resp.status == 201


@molotov.teardown_session()
async def leave(worker_id, session):
    await session.post(f"{API}/logout", data=b"bye")


@molotov.global_teardown()
def report():
    assert molotov.request  # still there at the end
    with open(os.environ["REPORT"], "a") as file:
        file.write(f"{counts}\n")


@events()
async def count(event, **info):
    if event in counts:
        counts[event] += 1
    if event == "response_received":
        assert info["request"].method
        assert info["response"].status


@scenario(weight=7)
async def read_one(session):
    product = get_var("products")[0]
    async with session.get(f"{API}/products/{product}", params={"full": "1"}) as resp:
        assert resp.status == 200, resp.status
        assert (await resp.json())["id"] == product
        assert resp.headers["Content-Type"] == "application/json"
        session.seen.append(product)
    assert get_context(session).worker_id > 0


@scenario(weight=2, name="cookies")
async def signed_in(session):
    resp = await session.get(f"{API}/me")
    assert resp.status == 200
    assert "worker" in await resp.text()


@scenario(weight=1, delay=0.001)
async def broken(session):
    async with session.get(f"{API}/nowhere") as resp:
        assert resp.status == 200, f"status {resp.status}"


@scenario(weight=0)
async def never(session):
    raise RuntimeError("weight 0 means never")
