"""The supervisors that are compared: how each is configured, started, reloaded and ended.

A peer runs N services of one process each, every one `child stamp FILE ID` (child.c). What is not
installed says so in `why_not` and is left out by name.
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

__all__ = ["PEERS", "Chapiteau", "Peer"]

ROOT = Path(__file__).resolve().parent.parent.parent
RIVALS = ROOT / "bench" / ".venv" / "bin"  # made by bench/run.sh


class Peer:
    """One supervisor on one folder."""

    name = ""
    program = ""

    def __init__(self, folder: Path, commands: dict[str, list[str]]) -> None:
        self.folder, self.commands = folder, commands
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.configure()

    @classmethod
    def why_not(cls) -> str:
        """Empty when it can run here."""
        return "" if cls.find() else f"{cls.program} is not installed"

    @classmethod
    def find(cls) -> str | None:
        inside = RIVALS / cls.program
        return str(inside) if inside.exists() else shutil.which(cls.program)

    def configure(self) -> None:
        raise NotImplementedError

    def words(self) -> list[str]:
        raise NotImplementedError

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
        """Whatever happened: nothing of it stays."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class Chapiteau(Peer):
    name, program = "chapiteau", "chapiteau"

    @classmethod
    def find(cls) -> str | None:
        return str(Path(sys.executable).with_name("chapiteau"))

    def configure(self) -> None:
        lines = ['[project]\nname = "bench"', '[log]\nmax_size = "50MB"\nkeep = 40']
        for name, words in self.commands.items():
            lines.append(f'[service.{name}]\ncommand = {json.dumps(words)}\nready.alive = "1ms"')
        (self.folder / "chapiteau.toml").write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        config = str(self.folder / "chapiteau.toml")
        return [str(self.find()), "run", "daemon", "--config", config]

    def pids(self) -> list[int]:
        keeper = self.process.pid if self.process else 0
        found = [keeper]
        for child in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
            brain = b"engine.brain" in Path(f"/proc/{child}/cmdline").read_bytes()
            found += [int(child)] if brain else []
        return found

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        super().end()


class Floor(Peer):
    """No product: 60 lines of Python that spawn and respawn at once. The bound for Python."""

    name, program = "floor", "python"

    @classmethod
    def find(cls) -> str | None:
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
        for name, words in self.commands.items():
            lines += [f"[watcher:{name}]", f"cmd = {words[0]}", f"args = {' '.join(words[1:])}",
                      "stdout_stream.class = FileStream",
                      f"stdout_stream.filename = {self.folder}/{name}.log",
                      "stdout_stream.max_bytes = 50000000",
                      "stdout_stream.backup_count = 40"]  # fmt: skip
        (self.folder / "circus.ini").write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        return [str(self.find()), str(self.folder / "circus.ini")]


class Supervisord(Peer):
    name, program = "supervisord", "supervisord"

    def configure(self) -> None:
        head = f"""
            [supervisord]
            logfile = {self.folder}/main.log
            pidfile = {self.folder}/main.pid
            childlogdir = {self.folder}
            minfds = {max(1024, 6 * len(self.commands))}
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


class _Scanned(Peer):
    """A folder of services, each with a program `run` (s6, runit)."""

    def configure(self) -> None:
        for name, words in self.commands.items():
            folder = self.folder / "scan" / name
            folder.mkdir(parents=True, exist_ok=True)
            run = folder / "run"
            run.write_text(f"#!/bin/sh\nexec {' '.join(words)}\n")
            run.chmod(0o755)

    def pids(self) -> list[int]:
        first = super().pids()
        found, waiting = list(first), list(first)
        while waiting:
            path = Path(f"/proc/{waiting[0]}/task/{waiting.pop(0)}/children")
            for child in path.read_text().split() if path.exists() else []:
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name in ("s6-supervise", "runsv", "s6-svscan"):
                    found.append(int(child))
                    waiting.append(int(child))
        return found


class S6(_Scanned):
    name, program = "s6", "s6-svscan"

    def words(self) -> list[str]:
        return [str(self.find()), str(self.folder / "scan")]


class Runit(_Scanned):
    name, program = "runit", "runsvdir"

    def words(self) -> list[str]:
        return [str(self.find()), str(self.folder / "scan")]

    def ask_to_stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGHUP)  # runsvdir(8): TERM to every runsv, then ends


class Pm2(Peer):
    name, program = "pm2", "pm2"

    def configure(self) -> None:
        apps = [
            {"name": name, "script": words[0], "args": words[1:], "exec_interpreter": "none"}
            for name, words in self.commands.items()
        ]
        (self.folder / "ecosystem.json").write_text(json.dumps({"apps": apps}))

    def _run(self, *args: str) -> None:
        env = {**os.environ, "PM2_HOME": str(self.folder / "pm2")}
        subprocess.run([str(self.find()), *args], cwd=self.folder, env=env, capture_output=True,
                       check=False)  # fmt: skip

    def words(self) -> list[str]:
        return [str(self.find()), "start", "ecosystem.json"]

    def start(self) -> None:
        self._run("start", "ecosystem.json")

    def pids(self) -> list[int]:
        file = self.folder / "pm2" / "pm2.pid"
        return [int(file.read_text())] if file.exists() else []

    def ask_to_stop(self) -> None:
        self._run("kill")

    def end(self) -> None:
        self._run("kill")


PEERS: list[type[Peer]] = [Floor, Chapiteau, S6, Runit, Pm2, Supervisord, Circus]
