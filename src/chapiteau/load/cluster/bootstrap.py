"""`--bootstrap uv`: hosts that have ssh and nothing of ours; uv makes what is missing there.

The very Chapiteau that runs here goes along as a wheel, so versions are the same though they were
never published; what it depends on comes from the index that uv uses over there. All lies in
~/.cache/chapiteau on the host: the second time is quick, and the folder may go at any time.
"""

import asyncio
import hashlib
import io
import shlex
import sys
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.cluster.ssh import MODULE, PipeCluster, ssh_command

__all__ = ["ScriptMetadata", "build_wheel", "script_metadata", "ssh_with_uv"]


# What a scenario says that it needs, in the comment that uv and pipx read, too.

_BEGIN: Final = "# /// script"
_END: Final = "# ///"


@dataclass(frozen=True, slots=True)
class ScriptMetadata:
    """Packages as pip names them, and a version specifier of Python ("" for any)."""

    packages: tuple[str, ...] = ()
    python: str = ""


def script_metadata(text: str) -> ScriptMetadata:
    """The inline script metadata of a Python file (PEP 723). Raises UsageError when it is broken.

    # /// script
    # dependencies = ["numpy>=2"]
    # ///
    """
    lines = text.splitlines()
    if _BEGIN not in lines:
        return ScriptMetadata()
    block: list[str] = []
    for line in lines[lines.index(_BEGIN) + 1 :]:
        if line == _END or not line.startswith("#"):
            break
        block.append(line[1:].removeprefix(" "))
    try:
        told = tomllib.loads("\n".join(block))
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"the scenario's {_BEGIN!r} block is no TOML: {exc}") from exc
    packages, python = told.get("dependencies", []), told.get("requires-python", "")
    if not isinstance(packages, list) or not all(isinstance(p, str) for p in packages):
        raise UsageError(f"dependencies in the scenario's {_BEGIN!r} block is no list of texts")
    return ScriptMetadata(tuple(packages), str(python))


_PATIENCE: Final = 600.0  # seconds for uv to fetch what is missing
_NO_UV: Final = 77  # exit code of our script
_LEFT: Final = frozenset(("__pycache__", "static"))  # the dashboard's page is of no use there
# Extra → the module that shows that it is installed here, and so what a scenario may use.
_EXTRAS: Final = {"http2": "hpack", "compress": "zstandard", "grpc": "grpc"}

_FIND: Final = """
c=${XDG_CACHE_HOME:-$HOME/.cache}/chapiteau
for u in uv "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv" "$c/uv/bin/uv"; do
  command -v "$u" >/dev/null 2>&1 && break
  u=
done
"""
_PLACE: Final = """
set -e
umask 077
mkdir -p "$c/{digest}"
if test -s "$c/{digest}/{name}"; then cat >/dev/null
else cat >"$c/{digest}/.$$" && mv "$c/{digest}/.$$" "$c/{digest}/{name}"
fi
if test -z "$u"; then
  python3 -m pip install --quiet --target "$c/.uv$$" uv >&2 || exit {no_uv}
  test -e "$c/uv" || mv "$c/.uv$$" "$c/uv"
  rm -rf "$c/.uv$$"
  u=$c/uv/bin/uv
fi
"""


def ssh_with_uv(
    hosts: Sequence[str], command: str, python: str, scenario: Path | None
) -> PipeCluster:
    """As `pipes.ssh`, for hosts without Chapiteau. `python`: a version or path for uv, or ""."""
    name, wheel = build_wheel()
    needs = (
        script_metadata(scenario.read_text("utf-8", "replace"))
        if scenario is not None
        else ScriptMetadata()
    )
    digest = hashlib.sha256(wheel).hexdigest()[:16]
    place = _PLACE.format(digest=digest, name=name, no_uv=_NO_UV)
    running = _uv_run(f"{digest}/{name}", python or needs.python or ">=3.11", needs.packages)
    prepare = f"{_FIND}{place}{running} -c pass </dev/null"
    relay = f"{_FIND}exec {running} -m {MODULE}"
    words = ssh_command(command)

    async def ready() -> None:
        """Everywhere at once; the first host that can't tells why."""
        try:
            async with asyncio.TaskGroup() as group:
                for host in hosts:
                    group.create_task(_place(host, [*words, "--", host, _sh(prepare)], wheel))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    return PipeCluster({host: [*words, "--", host, _sh(relay)] for host in hosts}, ready)


def _sh(script: str) -> str:
    """One word for whatever shell the user has over there."""
    return f"sh -c {shlex.quote(script)}"


def _uv_run(place: str, python: str, packages: Sequence[str]) -> str:
    extras = ",".join(extra for extra, module in _EXTRAS.items() if find_spec(module))
    own = f'--with "chapiteau[{extras}] @ file://$c/{place}"'
    more = "".join(f" --with {shlex.quote(package)}" for package in packages)
    chosen = f"--python {shlex.quote(python)}"
    return f'"$u" run --quiet --isolated --no-project {chosen} {own}{more} python'


async def _place(host: str, argv: list[str], wheel: bytes) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        raise ChapiteauError(f"{argv[0]}: {exc.strerror}", hint="is it installed?") from exc
    try:
        async with asyncio.timeout(_PATIENCE):
            _, said = await process.communicate(wheel)
    except TimeoutError:
        raise ChapiteauError(f"{host}: uv was not ready within {_PATIENCE:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(host, process.returncode, said.decode("utf-8", "replace").strip())


def _failed(host: str, code: int, said: str) -> ChapiteauError:
    words = " · ".join(said.splitlines()[-5:]) or f"it ended with {code}"
    if code == _NO_UV:
        return ChapiteauError(
            f"{host} has no uv, and pip can't bring it: {words}",
            hint="install uv there, or Chapiteau itself, and leave --bootstrap out",
        )
    if code == 255:  # ssh's own
        return ChapiteauError(f"{host}: {words}", hint="can you get there with ssh?")
    return ChapiteauError(
        f"{host}: uv could not make Chapiteau ready: {words}",
        hint="can it reach a package index from there?",
    )


def build_wheel() -> tuple[str, bytes]:
    """The Chapiteau that runs here as a wheel: its name and bytes, always the same ones.

    Works for one that was installed in any way, also from a checkout.
    """
    told = distribution("chapiteau")
    info = f"chapiteau-{told.version}.dist-info"
    files = dict(_package())
    files[f"{info}/METADATA"] = (told.read_text("METADATA") or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: chapiteau\n"
    files[f"{info}/WHEEL"] += b"Root-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return f"chapiteau-{told.version}-py3-none-any.whl", buffer.getvalue()


def _package() -> Iterator[tuple[str, bytes]]:
    home = Path(sys.modules["chapiteau"].__file__ or "").parent
    for path in sorted(home.rglob("*")):
        inside = path.relative_to(home)
        if path.is_file() and _LEFT.isdisjoint(inside.parts):
            # A compiled part bears its platform in its name: others pass it by.
            yield f"chapiteau/{inside}", path.read_bytes()


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
