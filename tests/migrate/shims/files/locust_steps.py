from locust import HttpUser, LoadTestShape, constant, task


class Steps(LoadTestShape):
    stages = ((2, 2, 2), (4, 6, 4), (5, 1, 5))  # until, users, spawn rate

    def tick(self):
        for until, users, rate in self.stages:
            if self.get_run_time() < until:
                return users, rate
        return None


class Reader(HttpUser):
    wait_time = constant(0.02)

    @task
    def read(self):
        self.client.get("/products")
