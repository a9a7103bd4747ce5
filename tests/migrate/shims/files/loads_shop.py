# ruff: noqa: PT009
"""A Loads test case as people wrote them: requests, WebTest, counters, a WebSocket."""

import os

from loads.case import TestCase


class TestShop(TestCase):
    server_url = os.environ["SHOP"]

    def setUp(self):
        self.headers = {"X-Test": "1"}

    def test_list_and_read(self):
        found = self.session.get(self.server_url + "/products", headers=self.headers)
        self.assertEqual(found.status_code, 200)
        first = found.json()["items"][0]["id"]
        one = self.session.get(f"{self.server_url}/products/{first}")
        self.assertTrue(one.ok)
        self.assertIn(str(first), one.text)
        self.incr_counter("products read")

    def test_app(self):
        made = self.app.post_json("/products", {"name": "tent"}, status=201)
        self.assertEqual(made.json["name"], "tent")
        self.app.get("/nowhere", status=404)
        self.app.get("/products").mustcontain("items", no="error")

    def test_socket(self):
        heard = []
        ws = self.create_ws(
            self.server_url.replace("http", "ws") + "/socket",
            protocols=["chat"],
            callback=lambda message: heard.append(message.data),
        )
        ws.send("one")
        self.assertEqual(ws.receive().data, b"one")
        ws.send(b"two" * 60_000)
        self.assertEqual(len(ws.receive().data), 180_000)
        self.assertEqual(len(heard), 2)

    def test_failure(self):
        self.assertEqual(self.session.get(self.server_url + "/nowhere").status_code, 200)
