"""As it was written before locust 1.0."""

from locust import HttpLocust, TaskSet, events, task, web


def log_in(user):
    user.client.post("/login", {"name": "ada"})


def look(user):
    assert user.locust.host is None
    user.client.get("/products")


class Behaviour(TaskSet):
    tasks = {look: 2}

    def on_start(self):
        log_in(self)

    @task
    def look_again(self):
        self.client.get("/products")


class Visitor(HttpLocust):
    task_set = Behaviour
    min_wait = 5
    max_wait = 9


@events.init.add_listener
def without_web(environment, web_ui, **more):
    @web_ui.app.route("/more")
    def page():
        return web


@events.request_success.add_listener
def seen(request_type, name, response_time, response_length):
    pass
