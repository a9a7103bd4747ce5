"""CPU of one request inside the process, µs: `python inproc.py APP [--rounds 5]`.

APP is module:factory of a WSGI application, or asgi:module:factory. Floor of the loop itself is
not subtracted. Answers are checked before anything is timed.
"""

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "apps")]

from contract import CASES, environ  # noqa: E402


class Wsgi:
    def __init__(self, app):
        self.app = app

    def call(self, case):
        method, path, query, body, _ = case
        got = []
        answer = self.app(environ(method, path, query, body), lambda s, h, e=None: got.append(s))
        data = b"".join(answer)
        return int(got[0][:3]), data

    def time(self, case, count):
        method, path, query, body, _ = case
        app = self.app

        def start(status, headers, exc_info=None):
            return None

        before = time.process_time()
        for _ in range(count):
            for _piece in app(environ(method, path, query, body), start):
                pass
        return (time.process_time() - before) / count * 1e6


class Asgi:
    def __init__(self, app):
        self.app = app
        self.loop = asyncio.new_event_loop()

    def scope(self, case):
        method, path, query, body, _ = case
        headers = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"user-agent", b"bench")]
        if body:
            headers += [(b"content-type", b"application/json"),
                        (b"content-length", str(len(body)).encode())]  # fmt: skip
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": method,
            "http_version": "1.1", "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip

    async def one(self, case, sent):
        body = case[3]

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        await self.app(self.scope(case), receive, send)

    def call(self, case):
        sent = []
        self.loop.run_until_complete(self.one(case, sent))
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])

    def time(self, case, count):
        async def many():
            before = time.process_time()
            for _ in range(count):
                await self.one(case, [])
            return time.process_time() - before

        return self.loop.run_until_complete(many()) / count * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15)
    args = parser.parse_args()
    spec = args.app
    kind = Asgi if spec.startswith("asgi:") else Wsgi
    module, _, name = spec.removeprefix("asgi:").partition(":")
    runner = kind(getattr(importlib.import_module(module), name)())
    result = {}
    for label, case in CASES.items():
        status, data = runner.call(case)
        if status not in case[4]:
            sys.exit(f"{spec} {label}: {status} {data[:300]!r}")
        guess = runner.time(case, 50)
        count = max(20, int(args.seconds * 1e6 / guess))
        times = [runner.time(case, count) for _ in range(args.rounds)]
        result[label] = round(statistics.median(times), 2)
    print(json.dumps({"app": spec, "us": result}))


if __name__ == "__main__":
    main()
