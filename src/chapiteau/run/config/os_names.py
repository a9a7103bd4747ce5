"""Names that the operating system gives meaning to: signals, capabilities, octal modes."""

import re
from typing import Final

__all__ = ["capability_name", "is_octal", "resource_limit", "signal_name"]

# Linux, x86 and ARM. `signal` is not asked: logic touches no module that can act.
_SIGNALS: Final = frozenset(
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split()
)
_REALTIME: Final = re.compile(r"RTM(?:IN(?:\+\d{1,2})?|AX(?:-\d{1,2})?)")
_CAPABILITIES: Final = frozenset(
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore".split()
)

_RLIMITS: Final = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack".split()
)
_RLIMIT: Final = re.compile(r"(?:unlimited|\d+)(?::(?:unlimited|\d+))?")


def resource_limit(name: str, value: int | str) -> None:
    """Raises ValueError when there is no such limit, or none such."""
    if name not in _RLIMITS:
        raise ValueError(f"{name!r} is not a limit; known: {', '.join(sorted(_RLIMITS))}")
    if isinstance(value, bool) or not _RLIMIT.fullmatch(str(value)):
        raise ValueError(f'{value!r} is not a number, "unlimited" or "soft:hard"')


def signal_name(text: str) -> str:
    """ "TERM" for "term", "SIGTERM" or "TERM"; numbers stay numbers. Raises ValueError."""
    name = text.strip().upper().removeprefix("SIG")
    if name in _SIGNALS or _REALTIME.fullmatch(name):
        return name
    if name.isdigit() and 1 <= int(name) <= 64:
        return name
    raise ValueError(f"{text!r} is not a signal; write for example TERM, HUP or RTMIN+1")


def capability_name(text: str) -> str:
    """ "net_bind_service" for "CAP_NET_BIND_SERVICE". Raises ValueError."""
    name = text.strip().lower().removeprefix("cap_")
    if name not in _CAPABILITIES:
        raise ValueError(f"{text!r} is not a capability; write for example net_bind_service")
    return name


def is_octal(text: str) -> bool:
    """Whether this is a file mode like "0660"."""
    return re.fullmatch(r"(?:0o)?[0-7]{3,4}", text) is not None
