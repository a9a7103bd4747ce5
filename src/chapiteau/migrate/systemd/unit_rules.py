"""What becomes of each directive of [Unit], [Install] and [Socket], and of whole families."""

from typing import Final

from chapiteau.migrate.draft import Target
from chapiteau.migrate.rules import Rule, for_each, keep, lost, lost_if, unneeded
from chapiteau.migrate.source import Option
from chapiteau.migrate.systemd.rules import OUTER, RESOURCE, SANDBOX, SERVICE, burst, interval
from chapiteau.migrate.values import boolean, integer, octal, text

__all__ = ["INSTALL", "SECTIONS", "SOCKET", "UNIT", "rule_for"]

_SANDBOXED: Final = (
    "Protect Private Restrict ReadWrite ReadOnly Inaccessible NoExec ExecPaths ExecSearchPath Bind "
    "TemporaryFileSystem SystemCall MemoryDenyWriteExecute LockPersonality Personality Root Mount "
    "Extension Device SecureBits Keyring AppArmor SELinux Smack PAM NetworkNamespace IPCNamespace "
    "ProcSubset RemoveIPC SetCredential LoadCredential ImportCredential UtmpI UtmpM TTY "
    "RuntimeDirectory StateDirectory CacheDirectory LogsDirectory ConfigurationDirectory "
    "IgnoreSIGPIPE Permissions USBFunction"
).split()
_SHARED_OUT: Final = (
    "CPU IO BlockIO Memory DefaultMemory AllowedCPUs AllowedMemory StartupAllowed StartupCPU "
    "StartupIO StartupBlock NUMA Slice Delegate DisableControllers IPAddress IPIngress IPEgress "
    "SocketBind BPF ManagedOOM TimerSlack Coredump"
).split()

UNIT: Final[dict[str, Rule]] = {
    "Description": keep("labels.description"),
    "Documentation": keep("labels.documentation"),
    "StartLimitBurst": burst,
    **for_each("StartLimitIntervalSec StartLimitInterval", interval),
    **for_each("SourcePath DefaultDependencies CollectMode", unneeded("has no meaning here")),
    **for_each(
        "OnFailure OnSuccess OnFailureJobMode OnSuccessJobMode OnFailureIsolate",
        lost("started other units at its end", "read service.failed from `chapiteau events -f`"),
    ),
    **for_each(
        "Conflicts PartOf Upholds PropagatesReloadTo PropagateReloadTo ReloadPropagatedFrom "
        "PropagateReloadFrom PropagatesStopTo StopPropagatedFrom JoinsNamespaceOf "
        "StopWhenUnneeded",
        lost("tied it to other units", "needs = [...] is the only tie between services"),
    ),
    **for_each(
        "StartLimitAction FailureAction SuccessAction FailureActionExitStatus "
        "SuccessActionExitStatus RebootArgument JobTimeoutSec JobRunningTimeoutSec "
        "JobTimeoutAction JobTimeoutRebootArgument",
        lost("acted on the whole machine", "essential = true ends the supervisor with an error"),
    ),
    **for_each(
        "RefuseManualStart RefuseManualStop AllowIsolate IgnoreOnIsolate",
        lost("restricted systemctl", "[project] operators says who may start and stop"),
    ),
    "RequiresMountsFor": lost("waited for a file system", OUTER),
    # The order among units: see file.py.
    **for_each(
        "Requires Requisite Wants BindsTo BindTo After Before",
        unneeded("needs and after of services"),
    ),
}

INSTALL: Final[dict[str, Rule]] = {
    **for_each(
        "WantedBy RequiredBy UpheldBy",
        unneeded("starts with the supervisor, which its own unit starts at boot"),
    ),
    **for_each("Also", unneeded("import the other unit too")),
    **for_each("Alias DefaultInstance", lost("gave it another name", "a service has one name")),
}


def _owner(option: Option, target: Target) -> None:
    """`owner`"""
    known = (target.get("owner") or "").partition(":")
    user, group = known[0], known[2]
    if option.name == "SocketUser":
        user = text(option.value)
    else:
        group = text(option.value)
    target.put(option, "owner", f"{user or 'root'}:{group}" if group else user)


SOCKET: Final[dict[str, Rule]] = {
    "Backlog": keep("backlog", integer),
    "BindToDevice": keep("interface"),
    "SocketMode": keep("mode", octal),
    **for_each("SocketUser SocketGroup", _owner),
    "ReusePort": keep("reuse_port", boolean),
    "NoDelay": keep("nodelay", boolean),
    "Accept": lost_if(
        boolean,
        "started one process for each connection",
        "the program must accept connections itself",
        "the service accepts connections itself",
    ),
    "RemoveOnStop": unneeded("a stale socket file is replaced"),
    "DirectoryMode": lost("set the rights of the socket's folder", "make the folder beforehand"),
    "BindIPv6Only": lost(
        "said whether an IPv6 socket takes IPv4 too", "an address with a colon is IPv6"
    ),
    **for_each(
        "ListenSequentialPacket ListenFIFO ListenNetlink ListenSpecial ListenMessageQueue "
        "ListenUSBFunction SocketProtocol",
        lost("was no TCP, UDP or Unix socket", "the program must open it itself"),
    ),
    **for_each(
        "KeepAlive KeepAliveTimeSec KeepAliveIntervalSec KeepAliveProbes DeferAcceptSec Priority "
        "ReceiveBuffer SendBuffer IPTOS IPTTL Mark PipeSize FreeBind Transparent Broadcast "
        "PassCredentials PassSecurity PassPacketInfo PassFileDescriptorsToExec Timestamping "
        "TCPCongestion Writable FlushPending MessageQueueMaxMessages MessageQueueMessageSize",
        lost("was an option of the socket", "the program can set it on the socket that it gets"),
    ),
    **for_each(
        "MaxConnections MaxConnectionsPerSource TriggerLimitIntervalSec TriggerLimitBurst "
        "PollLimitIntervalSec PollLimitBurst",
        lost("bounded connections", "let the program, or a proxy before it, bound them"),
    ),
    **for_each(
        "ExecStartPre ExecStartPost ExecStopPre ExecStopPost TimeoutSec Symlinks SmackLabel "
        "SmackLabelIPIn SmackLabelIPOut SELinuxContextFromNet",
        lost("was done beside the socket", "a one-shot that the service needs"),
    ),
    # See sockets.py.
    **for_each(
        "ListenStream ListenDatagram FileDescriptorName Service",
        unneeded("the socket and its service"),
    ),
}

SECTIONS: Final = {"Service": SERVICE, "Unit": UNIT, "Install": INSTALL, "Socket": SOCKET}


def rule_for(name: str, rules: dict[str, Rule]) -> Rule | None:
    """The rule of a directive; families of directives share one."""
    if name in rules:
        return rules[name]
    if rules is SERVICE:
        if any(name.startswith(prefix) for prefix in _SHARED_OUT):
            return RESOURCE
        if any(name.startswith(prefix) for prefix in _SANDBOXED):
            return SANDBOX
    if rules is UNIT and name.startswith(("Condition", "Assert")):
        return lost("started it only under a condition", "let the command check it, or a one-shot")
    return None
