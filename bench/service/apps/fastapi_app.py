"""FastAPI with async handlers and pydantic models."""

from datetime import datetime
from typing import Annotated

from contract import ITEM
from fastapi import FastAPI
from pydantic import BaseModel, Field


class Address(BaseModel):
    street: str
    city: str
    zip: str


class Item(BaseModel):
    id: int
    name: Annotated[str, Field(min_length=1, max_length=100)]
    price: Annotated[float, Field(ge=0)]
    active: bool
    tags: list[str]
    owner: str
    email: str
    created: datetime
    count: Annotated[int, Field(ge=0)]
    rating: float
    address: Address
    note: str


HUNDRED = [Item(**ITEM)] * 100
app = FastAPI()


@app.get("/ping")
async def ping() -> dict[str, bool]:
    return {"pong": True}


@app.get("/items/{item_id}")
async def item(item_id: int, limit: int = 10, flag: bool = False) -> dict[str, int | bool]:
    return {"id": item_id, "limit": limit, "flag": flag}


@app.post("/items", status_code=201)
async def post(new: Item) -> Item:
    return new


@app.get("/items")
async def listing() -> list[Item]:
    return HUNDRED


def make():
    return app
