"""The bound for a supervisor in Python: start, reap, start again. No product."""

import json
import os
import signal
import sys

commands = json.load(open(sys.argv[1]))
alive = {}
stopping = []


def start(name):
    words = commands[name]
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    alive[os.posix_spawn(words[0], words, os.environ, file_actions=null, setsid=True)] = name


def stop(*_):
    stopping.append(1)
    for pid in alive:
        os.kill(pid, signal.SIGTERM)


signal.signal(signal.SIGTERM, stop)
for one in commands:
    start(one)
while alive:
    pid, _ = os.wait()
    name = alive.pop(pid)
    if not stopping:
        start(name)
