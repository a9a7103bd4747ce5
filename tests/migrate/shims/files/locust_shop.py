"""A locust file as people write them: weights, sets of tasks, verdicts, events, waits."""

import logging
import os
import time

from locust import (
    FastHttpUser,
    HttpUser,
    SequentialTaskSet,
    TaskSet,
    between,
    constant,
    events,
    tag,
    task,
)
from locust.exception import RescheduleTask, StopUser

log = logging.getLogger(__name__)
calls = {"request": 0, "failed": 0, "start": 0, "stop": 0}


@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--currency", default="EUR", help="what to pay in")


@events.test_start.add_listener
def begin(environment, **kwargs):
    calls["start"] += 1
    assert environment.parsed_options.currency == os.environ.get("CURRENCY", "EUR")


@events.request.add_listener
def count(request_type, name, response_time, response_length, exception, context, **kwargs):
    calls["request"] += 1
    calls["failed"] += exception is not None
    assert response_time >= 0


@events.test_stop.add_listener
def end(environment, **kwargs):
    calls["stop"] += 1
    with open(os.environ["REPORT"], "a") as file:
        file.write(f"{calls} {environment.stats.total.num_requests}\n")


class Browse(TaskSet):
    def on_start(self):
        self.pages = 0

    @task(3)
    def page(self):
        self.pages += 1
        self.client.get(f"/products/{self.user.first}", name="/products/[id]")
        if self.pages > 2:
            self.interrupt()

    @task
    def list(self):
        with self.client.get("/products", params={"page": 1}) as response:
            assert response.status_code == 200


class Buy(SequentialTaskSet):
    @task
    def fill(self):
        self.client.post("/products", json={"name": "rope"}, headers={"X-Currency": "EUR"})

    @task
    def pay(self):
        with self.client.get("/nowhere", catch_response=True) as response:
            if response.status_code == 404:
                response.success()

    @task
    def done(self):
        self.interrupt(reschedule=False)


class Customer(HttpUser):
    host = os.environ["SHOP"]
    weight = 3
    wait_time = constant(0.01)
    tasks = {Browse: 4, Buy: 1}  # noqa: RUF012 — as people write it

    def on_start(self):
        response = self.client.post("/login", json={"worker": 1})
        assert response.status_code == 201
        self.client.headers.update({"X-Session": response.json()["token"]})
        self.first = self.client.get("/products").json()["items"][0]["id"]

    @task(2)
    def me(self):
        assert "worker" in self.client.get("/me").text  # the cookie of the log-in

    @task
    @tag("bad")
    def refused(self):
        with self.client.get("/products", name="too slow", catch_response=True) as response:
            response.failure("it took too long")

    @task
    def again(self):
        raise RescheduleTask


class Machine(FastHttpUser):
    host = os.environ["SHOP"]
    wait_time = between(0.001, 0.002)
    turns = 0

    @task
    def poll(self):
        with self.rest("GET", "/products") as response:
            assert response.js["items"]
        self.turns += 1
        started = time.time()
        events.request.fire(
            request_type="QUEUE",
            name="take",
            response_time=(time.time() - started) * 1000 + 5,
            response_length=3,
            exception=None,
            context={},
        )
        if self.turns == 10:
            raise StopUser
