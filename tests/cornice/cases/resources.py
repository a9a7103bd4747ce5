"""Resources: classes with a method for each verb."""

from typing import Any

from pyramid.authorization import Allow, Deny, Everyone

from tests.cornice.probe import Trial, case


@case
def resource_classes(t: Trial) -> None:
    r = t.module("resource")

    @r.resource(
        collection_path="/users", path="/users/{id}", description="Users.", renderer="cornicejson"
    )
    class User:
        "All users."

        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def collection_get(self) -> Any:
            return {"users": [1, 2], "ctx": type(self.context).__name__}

        @r.view(renderer="json", content_type="application/json")
        def collection_post(self) -> Any:
            return {"made": self.request.json_body}

        @r.view(validators=("check",))
        def get(self) -> Any:
            return {"id": self.request.matchdict["id"]}

        @r.view(renderer="string", accept="text/plain")
        @r.view(renderer="json", accept="application/json")
        def put(self) -> Any:
            return {"put": 1}

        def delete(self) -> Any:
            return {}

        def patch(self) -> Any:
            return {}

        def options(self) -> Any:
            return {"options": 1}

        def check(self, request: Any, **kw: Any) -> None:
            if request.matchdict["id"] == "0":
                request.errors.add("path", "id", "zero")

    services = User._services
    t.note("services", sorted([k, s.name, s.path, s.description] for k, s in services.items()))
    t.note("depth", [list(s.defined_methods) for _, s in sorted(services.items())])
    config = t.configurator()
    config.add_cornice_resource(User)
    from webtest import TestApp

    app = TestApp(config.make_wsgi_app())
    for line in (
        "GET /users",
        "GET /users/1",
        "GET /users/0",
        "DELETE /users/1",
        "OPTIONS /users/1",
        "PUT /users",
    ):
        t.ask(app, line)
    t.ask(app, "POST /users", {"a": 1})
    t.ask(app, "POST /users", b"x", Content_Type="text/x")
    t.ask(app, "PUT /users/1", Accept="text/plain")
    t.ask(app, "PUT /users/1", Accept="application/json")
    t.ask(app, "PUT /users/1", Accept="image/png")


@case
def resources_by_hand(t: Trial) -> None:
    r = t.module("resource")

    class Thing:
        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def __acl__(self) -> Any:
            return [(Allow, Everyone, "read"), (Deny, Everyone, "write")]

        def collection_get(self) -> Any:
            return {"things": []}

        def get(self) -> Any:
            return {"id": self.request.matchdict["id"], "ctx": type(self.request.context).__name__}

        def post(self) -> Any:
            return {}

    r.add_view(Thing.get, permission="read")
    r.add_view(Thing.post, permission="write")
    r.add_view(Thing.collection_get, renderer="json")
    thing = r.add_resource(
        Thing, collection_path="/things", path="/things/{id}", name="thing_service"
    )
    t.note("same", thing is Thing)
    t.note("names", sorted(s.name for s in Thing._services.values()))

    from pyramid.authorization import ACLHelper

    class Policy:
        def permits(self, request: Any, context: Any, permission: Any) -> Any:
            return ACLHelper().permits(context, [Everyone], permission)

        def identity(self, request: Any) -> None:
            return None

        authenticated_userid = identity

    config = t.configurator()
    config.set_security_policy(Policy())
    config.add_cornice_resource(thing)
    from webtest import TestApp

    app = TestApp(config.make_wsgi_app())
    for line in ("GET /things", "GET /things/1", "POST /things/1"):
        t.ask(app, line)


@case
def resources_on_routes(t: Trial) -> None:
    r = t.module("resource")

    class Root:
        def __init__(self, request: Any) -> None:
            pass

        def __acl__(self) -> Any:
            return [(Allow, Everyone, "view")]

    @r.resource(
        collection_pyramid_route="things",
        pyramid_route="thing",
        name="routed",
        collection_factory=Root,
        cors_origins=("*",),
        collection_cors_origins=("http://c.org",),
    )
    class Thing:
        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def collection_get(self) -> Any:
            return {"ctx": type(self.context).__name__}

        def get(self) -> Any:
            return {"ctx": type(self.context).__name__}

    config = t.configurator()
    config.add_route("things", "/rthings")
    config.add_route("thing", "/rthings/{id}", factory=Root)
    config.add_cornice_resource(Thing)
    from webtest import TestApp

    app = TestApp(config.make_wsgi_app())
    for line in ("GET /rthings", "GET /rthings/1"):
        t.ask(app, line)
        t.ask(app, line, Origin="http://c.org")
    t.note("keys", sorted(app.app.registry.cornice_services))

    def mixed() -> None:
        r.add_resource(Thing, collection_path="/x", pyramid_route="thing")

    def nothing() -> None:
        r.add_resource(Thing)

    def no_collection() -> Any:
        return r.add_resource(
            type("Solo", (), {"__init__": lambda self, request: None, "get": lambda self: {}}),
            path="/solo",
        )

    t.refused("mixed", mixed)
    t.refused("nothing", nothing)
    t.note("solo", sorted(s.name for s in no_collection()._services.values()))


@case
def factories_and_classes(t: Trial) -> None:
    r = t.module("resource")

    class Dad:
        def __init__(self, request: Any) -> None:
            self.name = "dad"

        def __acl__(self) -> Any:
            return [(Allow, Everyone, "get")]

    @r.resource(path="/f/{id}", factory=Dad)
    class Kid:
        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def get(self) -> Any:
            return {"name": self.context.name}

    @r.resource(path="/own/{id}", collection_path="/own")
    class Own:
        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def get(self) -> Any:
            return {
                "same": self.request.context is self,
                "kind": type(self.request.context).__name__,
            }

        def collection_get(self) -> Any:
            return {"context": type(self.context).__name__}

    config = t.configurator()
    config.add_cornice_resource(Kid)
    config.add_cornice_resource(Own)
    from webtest import TestApp

    app = TestApp(config.make_wsgi_app())
    for line in ("GET /f/1", "GET /own/1", "GET /own"):
        t.ask(app, line)
