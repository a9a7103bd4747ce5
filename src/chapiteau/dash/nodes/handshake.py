"""What a node and its hub say to each other before anything else: join, hello, certificates."""

from msgspec import Struct

__all__ = [
    "CertificateRequest",
    "HubCertificate",
    "Introduction",
    "JoinRequest",
    "NodeCertificate",
    "NodeHello",
    "Welcome",
]


class Introduction(Struct, frozen=True, kw_only=True):
    """What a hub must know before it may act: whose copy is newer, whose clock is wrong."""

    time: float = 0.0  # seconds since 1970, by the node's clock; 0: it does not say
    fence: object = 0  # the greatest it has obeyed; `Leadership.note` judges what can be one
    generation: int = 0


class NodeHello(Introduction, frozen=True, kw_only=True):
    """The first word of a node that has joined."""

    name: str


class Welcome(Struct, frozen=True, kw_only=True):
    """The hub's answer."""

    time: float
    ca: str = ""  # PEM, of every CA that is good; "": as before
    renew: bool = False  # its certificate is of the CA of before
    fence: int = 0  # of the lease under which the hub acts; 0: it does not lead


class HubCertificate(Struct, frozen=True):
    """What the hub shows a stranger, who compares it with the token."""

    ca: str  # PEM


class JoinRequest(Struct, frozen=True, kw_only=True):
    """A stranger with a token."""

    id: str  # of the token
    secret: str
    name: str
    request: str  # PEM, to be signed


class CertificateRequest(Struct, frozen=True):
    """A node whose certificate ends."""

    request: str  # PEM, to be signed


class NodeCertificate(Struct, frozen=True):
    """What the hub has signed."""

    certificate: str  # PEM
    name: str = ""  # under which the node has joined
