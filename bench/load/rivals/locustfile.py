"""Locust, fast or usual client by KIND."""

import os

from locust import FastHttpUser, HttpUser, constant, task

Base = FastHttpUser if os.environ.get("KIND") == "fast" else HttpUser


class Visitor(Base):
    wait_time = constant(0)

    @task
    def get(self):
        with self.client.get("/", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("status")
