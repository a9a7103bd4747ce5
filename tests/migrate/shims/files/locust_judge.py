"""Judges by itself: in blocks, by its listeners, by the exit code."""

from locust import HttpUser, events, task
from locust.user.markov_taskset import MarkovTaskSet, transition, transitions


@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--shelf", type=int, env_var="SHELF", default=0)
    parser.add_argument("--secret", is_secret=True, include_in_web_ui=False, default="")


class Walk(MarkovTaskSet):
    @transitions([("second", 3)])
    def first(self):
        shelf = self.user.environment.parsed_options.shelf
        with self.user.rest("GET", f"/products/{shelf}", name=f"shelf {shelf}") as response:
            assert response.js["id"] == shelf + 1, f"no shelf, {response.js}"

    @transition("first")
    def second(self):
        with self.user.rest_("GET", "/products", name="odd") as response:
            response.js["items"][1 // 0]


class Walker(HttpUser):
    tasks = [Walk]


@events.quitting.add_listener
def judge(environment, **more):
    stats = environment.stats
    odd = stats.get("odd", "GET")
    assert stats.total.num_requests == sum(one.num_requests for one in stats.entries.values())
    if odd.fail_ratio == 1 and 0 < odd.get_response_time_percentile(0.95) <= odd.max_response_time:
        environment.process_exit_code = 3
