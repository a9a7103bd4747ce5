"""Bare Pyramid with its json renderer; nothing is validated but the path and query."""

from contract import ITEM
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest


def ping(request):
    return {"pong": True}


def item(request):
    try:
        return {
            "id": int(request.matchdict["item_id"]),
            "limit": int(request.GET.get("limit", 10)),
            "flag": request.GET.get("flag") == "true",
        }
    except ValueError:
        raise HTTPBadRequest from None


def post(request):
    body = request.json_body
    if not body["name"]:
        raise HTTPBadRequest
    request.response.status = 201
    return body


def listing(request):
    return [ITEM] * 100


def make():
    config = Configurator()
    config.add_route("ping", "/ping")
    config.add_route("items", "/items")
    config.add_route("item", "/items/{item_id}")
    config.add_view(ping, route_name="ping", renderer="json")
    config.add_view(item, route_name="item", renderer="json")
    config.add_view(post, route_name="items", request_method="POST", renderer="json")
    config.add_view(listing, route_name="items", request_method="GET", renderer="json")
    return config.make_wsgi_app()
