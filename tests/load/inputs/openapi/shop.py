"""A small shop in memory that answers what documents/shop.yaml describes, and remembers."""

import json
import random
import uuid
from collections import Counter
from pathlib import Path

from chapiteau.load.scenario.flow import Flow, FlowRequest, FlowResponse, FlowState

DOCUMENTS = Path(__file__).parent.parent / "documents"
SHOP = (DOCUMENTS / "shop.yaml").read_text()


class Shop:
    """Answers requests; `seeded` products are there from the start."""

    def __init__(self, seeded: int = 5) -> None:
        chance = random.Random(0)
        self.seeded = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(seeded)]
        self.products: dict[str, int] = dict.fromkeys(self.seeded, 1)
        self.reviews: dict[str, list[bytes]] = {}
        self.counts: Counter[tuple[str, int]] = Counter()
        self.sent: list[FlowRequest] = []

    def answer(self, request: FlowRequest) -> FlowResponse:
        answer = self._answer(request, request.url.partition("?")[0].strip("/").split("/"))
        self.sent.append(request)
        self.counts[request.name, answer.status] += 1
        return answer

    def _answer(self, request: FlowRequest, path: list[str]) -> FlowResponse:
        if path == ["products"]:
            return self._collection(request)
        if path[0] != "products":
            return FlowResponse(status=200, json=[])
        if path[1] not in self.products:
            return FlowResponse(status=404)
        if len(path) == 2:
            return self._product(request, path[1])
        reviews = self.reviews.setdefault(path[1], [])
        if len(path) == 4:
            return FlowResponse(status=200 if int(path[3]) <= len(reviews) else 404)
        if request.method == "POST":
            reviews.append(request.body)
            return FlowResponse(status=201, json={"number": len(reviews)})
        return FlowResponse(status=200, json=[{"number": i + 1} for i in range(len(reviews))])

    def _collection(self, request: FlowRequest) -> FlowResponse:
        if request.method == "GET":
            return FlowResponse(status=200, json={"items": [{"id": i} for i in self.products]})
        json.loads(request.body)
        made = str(uuid.UUID(int=len(self.sent)))
        self.products[made] = 1
        return FlowResponse(status=201, headers={"location": f"/api/v1/products/{made}"})

    def _product(self, request: FlowRequest, number: str) -> FlowResponse:
        tag = f'"{self.products[number]}"'
        if request.method == "DELETE":
            del self.products[number]
            return FlowResponse(status=204)
        if request.method == "PUT":
            if dict(request.headers).get("If-Match") != tag:
                return FlowResponse(status=412)
            self.products[number] += 1
        return FlowResponse(status=200, json={}, headers={"etag": tag})


def play(flow: Flow, shop: Shop, sessions: int, seed: int = 0) -> None:
    """Walk through sessions one after the other, as the engine does."""
    chance = random.Random(seed)
    memory: dict[str, object] = {}
    for _ in range(sessions):
        seen = FlowState(memory=memory)
        while (request := flow.next(chance, seen)) is not None:
            seen.last = shop.answer(request)
            seen.steps += 1
