"""cgroup v2 folders of processes, where the machine lets us make them.

One folder per process under RUN/SERVICE/: whatever a process starts stays in its folder, and
`cgroup.kill` ends all of it at once, setsid or not (docs/decisions/0007).
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from chapiteau.run.config.command import cgroup_limits
from chapiteau.run.config.spec import Spec

__all__ = [
    "Cgroups",
    "find_cgroups",
    "limit_alternatives",
    "unavailable_limits",
    "unavailable_limits_text",
]

_CONTROLLERS: Final = ("memory", "cpu", "pids")


class Cgroups:
    """Folders below `root`. `why_not` tells why there are none; every call then does nothing."""

    def __init__(self, root: Path | None, home: Path | None, why_not: str = "") -> None:
        self.root = root
        self.home = home
        self.why_not = why_not
        self._limited: set[str] = set()

    @property
    def summary(self) -> str:
        """ "v2", or why not."""
        return "v2" if self.root is not None else self.why_not

    @property
    def limits(self) -> frozenset[str]:
        """What can be limited here, of memory, cpu and pids: the others are with cgroup v1."""
        found: set[str] = set()
        with contextlib.suppress(OSError):
            if self.home is not None:
                found = set((self.home / "cgroup.controllers").read_text().split())
        return frozenset(found & set(_CONTROLLERS))

    def make(self, service: str, key: str) -> Path | None:
        """The folder for one process. None when there is none to be had."""
        if self.root is None:
            return None
        # One level deep unless the service has limits of its own: each folder costs a lock.
        folder = self.root / service / key if service in self._limited else self.root / key
        try:
            os.mkdir(folder)  # noqa: PTH102 — once per start of a process
        except OSError:
            return None
        return folder

    def limit(self, service: str, wanted: dict[str, str]) -> list[str]:
        """Write limits ("memory.max" → value) for a service; names of those that can't be had."""
        if self.root is None:
            return sorted(wanted)
        folder = self.root / service
        self._limited.add(service)
        missing = []
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        for name, value in wanted.items():
            self._delegate(name.partition(".")[0])
            try:
                (folder / name).write_text(value)
            except OSError:
                missing.append(name)
        return sorted(missing)

    def why_unlimited(self, files: Iterable[str]) -> str:
        """Why these limits can't be had: no cgroups at all, or the controllers are elsewhere."""
        if self.root is None:
            return self.why_not
        wanted = sorted({name.partition(".")[0] for name in files})
        there: list[str] = []
        with contextlib.suppress(OSError):
            there = (self.root.parent / "cgroup.controllers").read_text().split()
        if away := [name for name in wanted if name not in there]:
            return f"cgroup v2 is not given {', '.join(away)} here (v1 has it, or nobody delegated)"
        return "cgroup v2 does not let us set it"

    def _delegate(self, controller: str) -> None:
        if self.root is None:
            return
        for folder in (self.root.parent, self.root):
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")

    @staticmethod
    def kill(folder: Path) -> None:
        """SIGKILL to all that is inside, at once and without a race (kernel 5.14)."""
        with contextlib.suppress(OSError):
            (folder / "cgroup.kill").write_text("1")

    @staticmethod
    def pids(folder: Path) -> list[int]:
        """Who is inside."""
        with contextlib.suppress(OSError, ValueError):
            return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        return []

    @staticmethod
    def oom_kills(folder: Path) -> int:
        """How often the kernel killed inside for want of memory."""
        try:  # asked at every kill, and mostly not there
            fd = os.open(f"{folder}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            found = dict(line.split() for line in os.read(fd, 4096).splitlines())
            return int(found.get(b"oom_kill", 0))
        except (OSError, ValueError):
            return 0
        finally:
            os.close(fd)

    @staticmethod
    def remove(folder: Path) -> None:
        """Take an empty folder away; one with processes stays."""
        with contextlib.suppress(OSError):
            folder.rmdir()

    def remove_all(self) -> None:
        """Take everything of ours away, empty folders only."""
        if self.root is None:
            return
        for folder, _, _ in os.walk(self.root, topdown=False):
            self.remove(Path(folder))


def find_cgroups(name: str) -> Cgroups:
    """A place of ours in the v2 tree, made now; or why there is none."""
    mount = _v2_mount()
    if mount is None:
        return Cgroups(None, None, "no cgroup v2 on this machine")
    here = mount / _own_path().lstrip("/")
    root = here / f"chapiteau-{name}"
    try:
        root.mkdir(exist_ok=True)
        probe = root / "probe"
        probe.mkdir(exist_ok=True)
        writable = os.access(probe / "cgroup.procs", os.W_OK) and os.access(
            here / "cgroup.procs", os.W_OK
        )
        probe.rmdir()
    except OSError as exc:
        return Cgroups(None, None, f"cgroup v2 is not ours to use ({exc.strerror})")
    if not writable:
        return Cgroups(None, None, "cgroup v2 is not ours to use")
    return Cgroups(root, here)


def _v2_mount() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    return None


def _own_path() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return path
    return "/"


# Which limits by cgroup this machine can keep, and what is said where it can't.

_SETTINGS: Final = {"memory.max": "memory", "cpu.max": "cpu", "pids.max": "pids"}
_INSTEAD: Final = {
    "memory": "limits.memory_soft replaces a process that has grown too big, "
    "limits.address_space bounds each",
    "cpu": "nice gives way to others",
    "pids": "limits.processes bounds the user's",
}


def unavailable_limits_text(files: list[str], why: str) -> str:
    """For people, of limits that can't be had: which settings, and why."""
    names = [_SETTINGS.get(name, name) for name in files]
    shown = ", ".join(f"limits.{name}" for name in names)
    verb = "does not hold" if len(names) == 1 else "do not hold"
    return f"{shown} {verb} on this machine: {why}"


def limit_alternatives(files: list[str]) -> str:
    """What can be set in place of these limits."""
    names = [_SETTINGS.get(name, name) for name in files]
    return "instead: " + "; ".join(_INSTEAD[name] for name in names if name in _INSTEAD)


def unavailable_limits(spec: Spec) -> Iterator[tuple[str, str]]:
    """(what, hint) for each service whose limits this machine can't keep.

    Makes a cgroup to try it in, and removes it.
    """
    wanted = {name: limits for name, s in spec.named() if (limits := cgroup_limits(s.limits))}
    if not wanted:
        return
    found = find_cgroups(f"check-{os.getpid()}")
    try:
        for name, limits in wanted.items():
            if missing := found.limit(name, limits):
                text = unavailable_limits_text(missing, found.why_unlimited(missing))
                yield f"service.{name}: {text}", limit_alternatives(missing)
    finally:
        found.remove_all()
