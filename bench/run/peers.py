"""The supervisors that are compared: how each is configured, started, asked and ended.

A peer runs N services of one process each, every one `child …` (child.c). What is not installed
says so in `why_not` and is left out by name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["MARK", "PEERS", "Chapiteau", "Peer"]

ROOT = Path(__file__).resolve().parent.parent.parent
RIVALS = (ROOT / "bench/.venv/bin", ROOT / "bench/.venv/pm2/node_modules/.bin")  # bench/run.sh
MARK = "BENCH_MARK"  # in the environment of everything that a peer starts: how it is found again


class Peer:
    """One supervisor on one folder. `stats`: as it is when its figures are followed."""

    name = ""
    program = ""
    logs = True  # whether it keeps the output of its services

    def __init__(
        self, folder: Path, commands: dict[str, list[str]], *, logged: bool = False,
        stats: bool = False,
    ) -> None:  # fmt: skip
        self.folder, self.commands, self.logged, self.stats = folder, commands, logged, stats
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.configure()

    @classmethod
    def why_not(cls) -> str:
        """Empty when it can run here."""
        return "" if cls.find() else f"{cls.program} is not installed"

    @classmethod
    def find(cls, program: str = "") -> str | None:
        name = program or cls.program
        inside = [folder / name for folder in RIVALS if (folder / name).exists()]
        return str(inside[0]) if inside else shutil.which(name)

    def configure(self) -> None:
        raise NotImplementedError

    def words(self) -> list[str]:
        raise NotImplementedError

    def list_words(self) -> list[str]:
        """The command that lists all services; empty when there is none."""
        return []

    def start(self) -> None:
        with (self.folder / "out.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def pids(self) -> list[int]:
        """Its own processes: what its CPU and memory are."""
        return [self.process.pid] if self.process else []

    def ask_to_stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Let it end; whatever is left then is found by its mark."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process:
            self.process.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _says(pid: int, *words: bytes) -> bool:
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(word in said for word in words)


class Chapiteau(Peer):
    name, program = "chapiteau", "chapiteau"
    # brains, and the process that waits to become the next
    OWN = (b"run.supervisor", b"chapiteau\0run")

    @classmethod
    def find(cls, program: str = "") -> str | None:
        return str(Path(sys.executable).with_name("chapiteau"))

    @property
    def config(self) -> str:
        return str(self.folder / "chapiteau.toml")

    def configure(self) -> None:
        lines = ['[project]\nname = "bench"', '[log]\nmax_size = "50MB"\nkeep = 40']
        for name, words in self.commands.items():
            lines.append(f'[service.{name}]\ncommand = {json.dumps(words)}\nready.alive = "1ms"')
        Path(self.config).write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        return [str(self.find()), "run", "daemon", "--config", self.config]

    def list_words(self) -> list[str]:
        return [str(self.find()), "status", "-o", "brief", "--config", self.config]

    def pids(self) -> list[int]:
        keeper = self.process.pid if self.process else 0
        brains = [c for c in _children(keeper) if _says(c, *self.OWN)]
        return [keeper, *brains]


class Floor(Peer):
    """No product: 30 lines of Python that spawn and respawn at once. The bound for Python."""

    name, program, logs = "floor", "python", False

    @classmethod
    def find(cls, program: str = "") -> str | None:
        return sys.executable

    def configure(self) -> None:
        (self.folder / "commands.json").write_text(json.dumps(self.commands))

    def words(self) -> list[str]:
        script = str(Path(__file__).with_name("floor.py"))
        return [sys.executable, "-I", "-S", script, str(self.folder / "commands.json")]


class Circus(Peer):
    name, program = "circus", "circusd"

    def configure(self) -> None:
        lines = ["[circus]", f"endpoint = ipc://{self.folder}/c.sock",
                 f"pubsub_endpoint = ipc://{self.folder}/p.sock"]  # fmt: skip
        if self.stats:
            lines += ["statsd = True", f"stats_endpoint = ipc://{self.folder}/s.sock"]
        for name, words in self.commands.items():
            lines += [f"[watcher:{name}]", f"cmd = {words[0]}", f"args = {' '.join(words[1:])}",
                      "stdout_stream.class = FileStream",
                      f"stdout_stream.filename = {self.folder}/{name}.log",
                      "stdout_stream.max_bytes = 50000000",
                      "stdout_stream.backup_count = 40"]  # fmt: skip
        (self.folder / "circus.ini").write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        return [str(self.find()), str(self.folder / "circus.ini")]

    def list_words(self) -> list[str]:
        return [str(self.find("circusctl")), "--endpoint", f"ipc://{self.folder}/c.sock", "status"]

    def pids(self) -> list[int]:
        first = super().pids()
        return first + [
            c for pid in first for c in _children(pid) if _says(c, b"stats.main", b"circusd-stats")
        ]


class Supervisord(Peer):
    name, program = "supervisord", "supervisord"

    def configure(self) -> None:
        head = f"""
            [supervisord]
            logfile = {self.folder}/main.log
            pidfile = {self.folder}/main.pid
            childlogdir = {self.folder}
            minfds = {max(1024, 6 * len(self.commands))}
            [unix_http_server]
            file = {self.folder}/s.sock
            [rpcinterface:supervisor]
            supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
            [supervisorctl]
            serverurl = unix://{self.folder}/s.sock
        """
        lines = [textwrap.dedent(head)]
        lines += [
            f"[program:{name}]\ncommand = {' '.join(words)}\nstdout_logfile_maxbytes = 50MB\n"
            f"stdout_logfile = {self.folder}/{name}.log\nstdout_logfile_backups = 40\nstartsecs = 1"
            for name, words in self.commands.items()
        ]
        (self.folder / "supervisord.conf").write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        return [str(self.find()), "-n", "-c", str(self.folder / "supervisord.conf")]

    def list_words(self) -> list[str]:
        config = str(self.folder / "supervisord.conf")
        return [str(self.find("supervisorctl")), "-c", config, "status"]


class _Scanned(Peer):
    """A folder of services, each with a program `run` (s6, runit), and one for its log."""

    own: tuple[str, ...] = ()

    def log_line(self, folder: Path) -> str:
        raise NotImplementedError

    def configure(self) -> None:
        for name, words in self.commands.items():
            folder = self.folder / "scan" / name
            self._script(folder / "run", f"exec {' '.join(words)}")
            if self.logged:
                kept = self.folder / "kept" / name
                kept.mkdir(parents=True)
                self._script(folder / "log/run", self.log_line(kept))

    def _script(self, path: Path, line: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def words(self) -> list[str]:
        return [str(self.find()), str(self.folder / "scan")]

    def pids(self) -> list[int]:
        first = super().pids()
        found, waiting = list(first), list(first)
        while waiting:
            for child in _children(waiting.pop(0)):
                try:
                    name = Path(f"/proc/{child}/comm").read_text().strip()
                except OSError:
                    continue
                if name in self.own:
                    found.append(child)
                    waiting.append(child)
        return found


class S6(_Scanned):
    name, program = "s6", "s6-svscan"
    own = ("s6-supervise", "s6-svscan", "s6-log")

    def log_line(self, folder: Path) -> str:
        return f"exec s6-log n40 s50000000 {folder}"


class Runit(_Scanned):
    name, program = "runit", "runsvdir"
    own = ("runsv", "svlogd")

    def log_line(self, folder: Path) -> str:
        (folder / "config").write_text("s50000000\nn40\n")
        return f"exec svlogd {folder}"

    def list_words(self) -> list[str]:
        return ["sh", "-c", f"exec sv status {self.folder}/scan/*"]

    def ask_to_stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGHUP)  # runsvdir(8): TERM to every runsv, then ends

    def end(self) -> None:
        self.ask_to_stop()
        super().end()


class Pm2(Peer):
    name, program = "pm2", "pm2"

    def configure(self) -> None:
        apps = [
            {"name": name, "script": words[0], "args": words[1:], "exec_interpreter": "none",
             "out_file": f"{self.folder}/{name}.log", "error_file": "/dev/null"}
            for name, words in self.commands.items()
        ]  # fmt: skip
        (self.folder / "ecosystem.json").write_text(json.dumps({"apps": apps}))
        os.environ["PM2_HOME"] = str(self.folder / "pm2")

    def _run(self, *args: str, limit: float = 40) -> None:
        try:
            subprocess.run([str(self.find()), *args], cwd=self.folder, capture_output=True,
                           check=False, timeout=limit)  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"pm2 {args[0]}: no end within {limit:g} s", file=sys.stderr)

    def words(self) -> list[str]:
        return [str(self.find()), "start", "ecosystem.json"]

    def list_words(self) -> list[str]:
        return [str(self.find()), "jlist"]

    def start(self) -> None:
        self._run("start", "ecosystem.json")

    def pids(self) -> list[int]:
        file = self.folder / "pm2" / "pm2.pid"
        return [int(file.read_text())] if file.exists() else []

    def ask_to_stop(self) -> None:
        self._run("kill")

    def end(self) -> None:
        if self.pids():
            self._run("kill")


PEERS: list[type[Peer]] = [Floor, Chapiteau, S6, Runit, Pm2, Supervisord, Circus]
