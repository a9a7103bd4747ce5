"""Run something by hand as a service would run it: its folder, user, limits, environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from chapiteau.core.errors import NotFoundError
from chapiteau.core.problems import did_you_mean
from chapiteau.run.config.command import BoundSocket, CommandContext, command_of, values_of
from chapiteau.run.config.load import Config
from chapiteau.run.config.spec import Service, Socket
from chapiteau.run.process.environment import (
    merge_environment,
    read_secrets,
    secret_variables,
    without,
)
from chapiteau.run.process.spawn import find_program, read_env_file
from chapiteau.run.system.accounts import account_environment, has_account, user_ids

__all__ = ["run_oneoff"]


def run_oneoff(
    config: Config, name: str, words: Sequence[str], environ: Mapping[str, str] | None = None
) -> NoReturn:
    """Become these words in the service's place, on the caller's terminal; sockets stay away.

    Raises NotFoundError for an unknown service, SpawnError when something is missing.
    """
    if name not in config.spec.service:
        hint = did_you_mean(name, config.spec.service)
        raise NotFoundError(f"no service {name!r}", hint=hint)
    service = _bare(config.spec.service[name], words)
    uid, gid = user_ids(name, service)
    folder = config.path.parent
    place = CommandContext(
        service=name, number=0, python=sys.executable, folder=folder,
        uid=uid, gid=gid, listed=has_account(uid),
        sockets={n: _address(one, folder) for n, one in config.spec.socket.items()},
    )  # fmt: skip
    command = command_of(service, place)
    given = os.environ if environ is None else environ
    env = merge_environment(
        service,
        inherited=without(given, secret_variables(config.spec.service.values())),
        folder=folder,
        account=account_environment(service),
        files=[read_env_file(name, folder, path) for path in service.env_files],
        secrets=read_secrets(service, folder, given),
        values=values_of(service, place),
    )
    cwd = (folder / service.cwd).absolute()
    os.chdir(cwd)
    if service.umask:
        os.umask(int(service.umask, 8))
    path = env.get("PATH", os.defpath)
    find_program(name, command.program, path, cwd)
    program = find_program(name, command.argv[0], path, cwd)
    sys.stdout.flush()
    os.execve(program, command.argv, env)  # noqa: S606 — no shell is wanted


def _bare(service: Service, words: Sequence[str]) -> Service:
    """The same service with another command and without sockets: they belong to the running one."""
    bare = replace(service, sockets=(), stdin="null", stdin_socket="", fd_store=0)
    return replace(bare, command=tuple(words), app="", shell=False)


def _address(wanted: Socket, folder: Path) -> BoundSocket:
    """Where the others find it; which port it is when any was taken, the supervisor alone knows."""
    if wanted.path:
        return BoundSocket(address=str((folder / wanted.path).absolute()), port=0, stored="")
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    return BoundSocket(address=f"{host}:{wanted.port}", port=wanted.port, stored="")
